/** Raised when a field of a command's `--json` changes its meaning or is removed; new fields do not count. */
export const JSON_VERSION = 1

/** The output of a command with `--json`. */
export function formatJson(command: string, body: object): string {
  return `${JSON.stringify({ version: JSON_VERSION, command, ...body }, undefined, 2)}\n`
}
