// Loaded before everything else in each thread of a process (`node --import`): changes the program's sources as they are loaded, as $TEST_REPLACED says: JSON, a
// list of [how the name of the module ends, what stands there, what takes its place]. For numbers too large for a test that are nobody's to set.

import * as module from "node:module";

const replacements = JSON.parse(process.env.TEST_REPLACED ?? "[]");

function replaced(url, loaded) {
  const own = replacements.filter(([ending]) => url.replace(/\.[jt]s$/, "").endsWith(ending));
  if (own.length === 0) return loaded;
  let source = String(loaded.source);
  for (const [, from, to] of own) {
    if (!source.includes(from)) throw new Error(`${url} does not say ${from}`);
    source = source.replace(from, to);
  }
  return { ...loaded, source };
}

/** The hook of older versions of Node, which runs in a thread of its own. */
export async function load(url, context, next) {
  return replaced(url, await next(url, context));
}

if (!import.meta.url.endsWith("?hooks")) {
  if (module.registerHooks === undefined) module.register(`${import.meta.url}?hooks`);
  else module.registerHooks({ load: (url, context, next) => replaced(url, next(url, context)) });
}
