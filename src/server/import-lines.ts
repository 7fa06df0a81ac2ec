/** A line of a stream and the number of bytes up to its end; undefined in its place: it is longer than may be. */
export type Line = { readonly text: string | undefined; readonly end: number };

const NEWLINE = 0x0a;

/** Takes a stream of UTF-8 apart into lines without keeping more than `maxBytes` of one, from byte `start` on. The last one may have no end. */
export async function* linesIn(
  source: AsyncIterable<Buffer>,
  maxBytes: number,
  start = 0,
): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let length = 0;
  let end = start;
  const line = (): Line => {
    const text = length > maxBytes ? undefined : Buffer.concat(parts).toString();
    [parts, length] = [[], 0];
    return { text, end };
  };
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const newline = chunk.indexOf(NEWLINE, at);
      const part = chunk.subarray(at, newline === -1 ? chunk.length : newline);
      length += part.length;
      if (length <= maxBytes) parts.push(part);
      const isEnd = newline !== -1;
      at += part.length + (isEnd ? 1 : 0);
      end += part.length + (isEnd ? 1 : 0);
      if (isEnd) yield line();
    }
  }
  if (length > 0) yield line();
}
