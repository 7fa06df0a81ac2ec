// Has every module of src/ count its branches (counters.ts): loaded before everything else, by `node --import`. A fuzzer that sees which branches an input
// takes keeps what takes new ones, and so finds its way into a parser.

import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";

import { parseAst } from "vite";

import { newBranch } from "./counters.ts";

type Node = { readonly type: string; readonly start: number; readonly end: number } & Readonly<
  Record<string, unknown>
>;

/** What is written into the source, and where. */
type Insertion = { readonly at: number; readonly text: string; readonly order: number };

const SOURCES = new URL("../../../src/", import.meta.url).href;

registerHooks({
  load(url, context, next) {
    if (!url.startsWith(SOURCES) || !url.endsWith(".ts")) return next(url, context);
    const source = stripTypeScriptTypes(readFileSync(fileURLToPath(url), "utf8"));
    return { format: "module", source: instrumented(source), shortCircuit: true };
  },
});

/** The source with a count in every block, and in every expression that is not always worked out. Its lines stay where they are. */
function instrumented(source: string): string {
  const insertions: Insertion[] = [];
  visit(parseAst(source) as unknown as Node, insertions);
  insertions.sort((a, b) => a.at - b.at || a.order - b.order);
  let written = "const $taken = globalThis.__taken;";
  let at = 0;
  for (const insertion of insertions) {
    written += source.slice(at, insertion.at) + insertion.text;
    at = insertion.at;
  }
  return written + source.slice(at);
}

function count(): string {
  return `$taken[${newBranch()}]++`;
}

function visit(node: Node, into: Insertion[]): void {
  switch (node.type) {
    case "BlockStatement":
      into.push({ at: node.start + 1, text: `${count()};`, order: 1 });
      break;
    case "ArrowFunctionExpression":
      if ((node["body"] as Node).type !== "BlockStatement") around(node["body"] as Node, into);
      break;
    case "ConditionalExpression":
      around(node["consequent"] as Node, into);
      around(node["alternate"] as Node, into);
      break;
    case "LogicalExpression":
      around(node["right"] as Node, into);
      break;
    case "IfStatement":
      for (const branch of [node["consequent"], node["alternate"]] as (Node | null)[]) {
        if (branch && branch.type !== "BlockStatement") inBlock(branch, into);
      }
      break;
    case "ForStatement":
    case "ForOfStatement":
    case "WhileStatement":
      if ((node["body"] as Node).type !== "BlockStatement") inBlock(node["body"] as Node, into);
      break;
    case "SwitchCase": {
      const [first] = node["consequent"] as Node[];
      if (first !== undefined) into.push({ at: first.start, text: `${count()};`, order: 1 });
      break;
    }
  }
  for (const child of Object.values(node)) {
    for (const one of Array.isArray(child) ? (child as unknown[]) : [child]) {
      if (isNode(one)) visit(one, into);
    }
  }
}

// What closes comes before what opens at the same place; of two that close there the inner one first.
function around(node: Node, into: Insertion[]): void {
  into.push({ at: node.start, text: `(${count()},`, order: 1 });
  into.push({ at: node.end, text: ")", order: -node.start - 1 });
}

function inBlock(node: Node, into: Insertion[]): void {
  into.push({ at: node.start, text: `{${count()};`, order: 1 });
  into.push({ at: node.end, text: "}", order: -node.start - 1 });
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}
