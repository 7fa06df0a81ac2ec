/** How the suite is used, by the command that runs it. */
export function conformanceHelp(command: string): string {
  return `Usage: ${command} <url> [--only <name>]... [options]
       ${command} --list

Checks a relay against the obligations of NIP-DD, NIP-01 and the others it
advertises. Each check passes, fails with the transcript that shows it, or is
skipped with the reason. What a relay only SHOULD do is advised ("!"), and no
failure. What the suite drops there it acknowledges in the end.

  --only <name>        a check, a subject, an obligation such as "ack-3", or a
                       NIP such as "nip-42"; may be repeated
  --all                also what the relay does not advertise
  --json               one object per line; the last one is the summary
  --list               the checks, and what each tests; with --json also the
                       sentences of NIP-DD that it covers
  --timeout <seconds>  for one check, such as 30 or 2m (default 30)

Exit status: 0 when nothing failed, 1 when something did or the relay went
away, 2 for wrong use and where no relay answers.

Example: ${command} wss://drop.example.com
`;
}
