// The settings one by one, as the schema has them: where each stands in the file, and its variable in the environment.

import { z } from "zod";

import { schema } from "./schema.ts";

export const ENVIRONMENT_PREFIX = "DEADDROP_";

/** A setting, or a group of settings, of the schema. */
export type Setting = {
  /** The keys that lead to it in the file. */
  readonly path: readonly string[];
  readonly description: string;
  /** As it would be written in the file. A group has none. */
  readonly defaultValue: unknown;
  readonly isGroup: boolean;
};

/** Every setting in the order of the schema, a group before its members. */
export const SETTINGS: readonly Setting[] = [...settingsOf(schema, [])];

/** The settings that a variable of the environment can give, by its name. */
export const BY_VARIABLE: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.filter(({ isGroup }) => !isGroup).map((setting) => [variableOf(setting), setting]),
);

/** The variable of a setting: DEADDROP_LIMITS_EVENT_BYTES for limits.eventBytes. */
export function variableOf({ path }: Setting): string {
  const name = path.map((part) => part.replace(/[A-Z]/g, "_$&").toUpperCase()).join("_");
  return ENVIRONMENT_PREFIX + name;
}

type Field = z.ZodType & {
  readonly def: { readonly defaultValue?: unknown; readonly innerType?: z.ZodType };
};

function* settingsOf(object: z.ZodObject, above: readonly string[]): Generator<Setting> {
  for (const [name, field] of Object.entries(object.shape) as [string, Field][]) {
    const path = [...above, name];
    const { defaultValue, innerType } = field.def;
    const isGroup = innerType instanceof z.ZodObject;
    yield { path, description: field.description ?? "", defaultValue, isGroup };
    if (isGroup) yield* settingsOf(innerType, path);
  }
}
