/** Raised when a field of a command's `--json` changes its meaning or goes; new fields do not count. */
export const JSON_VERSION = 1

/** What a command prints with `--json`. */
export function formatJson(command: string, body: object): string {
  return `${JSON.stringify({ version: JSON_VERSION, command, ...body }, undefined, 2)}\n`
}
