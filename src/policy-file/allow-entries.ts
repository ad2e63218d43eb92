import { printable } from '../base/describe'
import type { KeyPath, Mistakes } from './mistakes'
import { TableReader } from './table-reader'
import type { Table } from './toml'

/*
 * As x0x does: names and types are checked always, the rest only of a policy that is enabled.
 */

const ENTRY_KEYS = [
  'description',
  'principal',
  'agent_id',
  'machine_id',
  'max_duration_secs',
  'commands',
] as const
const COMMAND_KEYS = ['argv'] as const

/** Checks one `[[exec.allow]]` entry. */
export function checkAllowEntry(
  mistakes: Mistakes,
  at: KeyPath,
  table: Table,
  isEnabled: boolean,
): void {
  const entry = new TableReader(mistakes, at, table, ENTRY_KEYS)
  entry.string('description')
  entry.count('max_duration_secs', 0, 0)
  const principal = entry.string('principal')
  const ids = [
    ['agent_id', entry.string('agent_id')],
    ['machine_id', entry.string('machine_id')],
  ] as const
  const commands = entry.tables('commands', 'exec.allow.commands')
  for (const [place, command] of commands) checkCommand(mistakes, place, command, isEnabled)
  if (!isEnabled) return
  if (principal !== undefined && principal !== 'owner') {
    entry.mistaken('principal', `expected "owner", or none, got ${printable(principal)}`)
  }
  for (const [key, id] of ids) checkId(entry, key, id)
  if (!entry.has('commands') || (Array.isArray(table.commands) && table.commands.length === 0)) {
    entry.mistaken('commands', 'expected at least one [[exec.allow.commands]] table, got none')
  }
}

function checkId(
  entry: TableReader<(typeof ENTRY_KEYS)[number]>,
  key: 'agent_id' | 'machine_id',
  id: string | undefined,
): void {
  if (entry.has('principal')) {
    if (entry.has(key)) entry.mistaken(key, 'expected none beside principal; leave one of them out')
  } else if (!entry.has(key)) {
    entry.mistaken(key, 'expected 64 hexadecimal digits, got none; or set principal = "owner"')
  } else if (id !== undefined && !/^[0-9a-f]{64}$/i.test(id)) {
    const got = id.length === 64 ? 'others' : `${id.length} characters`
    entry.mistaken(key, `expected 64 hexadecimal digits, got ${got}`)
  }
}

function checkCommand(mistakes: Mistakes, at: KeyPath, table: Table, isEnabled: boolean): void {
  const command = new TableReader(mistakes, at, table, COMMAND_KEYS)
  const argv = command.strings('argv')
  if (!command.has('argv')) command.mistaken('argv', 'expected an array of strings, got none')
  if (argv === undefined || !isEnabled) return
  if (argv.length === 0) command.mistaken('argv', 'expected at least one string, got none')
  for (const [place, token] of argv) {
    if (isToken(token)) continue
    const expected = 'text without < and >, <INT>, or <URL_PATH> at its end'
    mistakes.add(place, `expected ${expected}, got ${printable(token)}`)
  }
}

/** Whether x0x has such a token: text, an integer, or a path behind a text. */
function isToken(token: string): boolean {
  return token === '<INT>' || !/[<>]/.test(token.replace(/<URL_PATH>$/, ''))
}
