const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** HTML that was made here. Whatever else stands in a template is text. */
export class Markup {
  readonly #html: string;

  constructor(html: string) {
    this.#html = html;
  }

  toString(): string {
    return this.#html;
  }
}

type Part = string | number | Markup | readonly Part[] | undefined;

/** A template of HTML: what is put into it is escaped, for text and for values of attributes in quotes, unless it is made of such a template itself. */
export function html(template: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  // As the source is indented the page need not be.
  const [first = "", ...rest] = template.map((piece) => piece.replaceAll(/\n +/g, "\n"));
  return new Markup(first + rest.map((after, index) => written(parts[index]) + after).join(""));
}

function written(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.toString();
  if (typeof part === "object") return part.map(written).join("");
  return String(part).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
