const FINAL_TEXT = 0x81;

/** Text messages as a server sends them: a length and the text each (RFC 6455, 5.2), in one piece of memory. */
export function framed(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  let total = 0;
  for (const length of lengths) total += headBytes(length) + length;
  const frames = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [index, text] of texts.entries()) {
    const length = lengths[index] ?? 0;
    frames[at] = FINAL_TEXT;
    if (length < 126) {
      frames[at + 1] = length;
    } else if (length < 65_536) {
      frames[at + 1] = 126;
      frames.writeUInt16BE(length, at + 2);
    } else {
      frames[at + 1] = 127;
      frames.writeBigUInt64BE(BigInt(length), at + 2);
    }
    at += headBytes(length);
    at += frames.write(text, at, length, "utf8");
  }
  return frames;
}

function headBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}
