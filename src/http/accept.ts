/**
 * Whether an Accept header (RFC 9110, 12.5.1) names this media type, in lowercase, and does not give it the weight 0. A range (`*`) names none, and
 * other weights are not compared: what is asked for by its name is what was meant.
 */
export function accepts(header: string | undefined, type: string): boolean {
  // A parameter may hold a comma or a semicolon in quotes. One that does not end is matched as well, or each quote in it would be tried as a beginning.
  const bare = (header ?? "").toLowerCase().replaceAll(/"(?:[^"\\]|\\.)*(?:"|\\?$)/gs, '""');
  return bare.split(",").some((range) => {
    const [name, ...parameters] = range.split(";").map((part) => part.trim());
    return name === type && !parameters.some((parameter) => WEIGHT_ZERO.test(parameter));
  });
}

const WEIGHT_ZERO = /^q=0(?:\.0*)?$/;
