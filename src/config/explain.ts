import type { z } from "zod";

/** What is wrong with a configuration, in a sentence: the key, the value as it was given, and what is allowed. */
export function explain(issue: z.core.$ZodIssue, given: unknown): string {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((name) => [...path, name].join(".")).join(", ");
    return `unknown setting ${keys}; see deaddrop config --example`;
  }
  let value = given;
  for (const step of path) {
    // A list that came as one string is shown as it came.
    if (typeof value !== "object" || value === null) break;
    value = (value as Record<string, unknown>)[step];
  }
  const name = path.join(".");
  const sentence = issue.code === "custom" ? issue.params?.["sentence"] : undefined;
  if (typeof sentence === "string") return `${name}: ${shown(value)} ${sentence}`;
  const allowed =
    issue.code === "invalid_union" ? (deepest(issue) ?? issue.message) : issue.message;
  return `${name}: ${shown(value)} is not allowed; allowed: ${allowed}`;
}

// YAML's anchors can make a value that is part of itself, which JSON cannot show.
function shown(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return "a value that holds itself";
  }
}

// A union says only "Invalid input"; what its branches had to say is one level down.
function deepest(issue: z.core.$ZodIssueInvalidUnion): string | undefined {
  if (!issue.message.startsWith("Invalid")) return issue.message;
  return issue.errors
    .flat()
    .map(({ message }) => message)
    .join(", or ");
}
