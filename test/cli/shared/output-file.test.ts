import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { CliError } from '../../../src/cli/shared/errors'
import { OutputFile } from '../../../src/cli/shared/output-file'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()
const log = () => dir.path('exec.log')
const fail = (message: string) => new CliError(message, 2)
const output = (path: string) =>
  new OutputFile('--json', path, { used: [{ what: 'the log', path: log() }], fail })

/** Names that lead to the log, and whether it must be there to be known by them. */
const NAMES: Readonly<Record<string, () => string>> = {
  'its own name': log,
  'a detour': () => `${dir.path('.')}/./folder/../exec.log`,
  'a symbolic link': () => {
    symlinkSync('exec.log', dir.path('link'))
    return dir.path('link')
  },
  'a link to a link': () => {
    symlinkSync(log(), dir.path('one'))
    symlinkSync('one', dir.path('two'))
    return dir.path('two')
  },
  'a linked folder': () => {
    symlinkSync('.', dir.path('folder-link'))
    return dir.path('folder-link/exec.log')
  },
}
const refusal = (path: string) =>
  `--json: ${path} is the log, which it would overwrite; name another file`

beforeEach(() => mkdirSync(dir.path('folder')))

describe('an output file', () => {
  describe.each([true, false])('when the log is there: %p', (isThere) => {
    it.each(Object.keys(NAMES))('is refused by %s', (name) => {
      if (isThere) writeFileSync(log(), 'evidence')
      const path = NAMES[name]?.() ?? ''
      expect(() => output(path)).toThrow(refusal(path))
      expect(existsSync(log()) ? readFileSync(log(), 'utf8') : '').toBe(isThere ? 'evidence' : '')
    })
  })

  it('is refused by a hard link', () => {
    writeFileSync(log(), 'evidence')
    linkSync(log(), dir.path('hard'))
    expect(() => output(dir.path('hard'))).toThrow(refusal(dir.path('hard')))
  })

  it('that becomes the log during the work is left alone', () => {
    const file = output(dir.path('summary'))
    writeFileSync(log(), 'evidence')
    linkSync(log(), dir.path('summary'))
    expect(() => file.write('text')).toThrow(refusal(dir.path('summary')))
    expect(readFileSync(log(), 'utf8')).toBe('evidence')
  })

  it('is untouched until it is written, and then holds that alone', () => {
    writeFileSync(dir.path('summary'), 'the longer text of before')
    const file = output(dir.path('summary'))
    expect(readFileSync(dir.path('summary'), 'utf8')).toBe('the longer text of before')
    file.write('text')
    expect(readFileSync(dir.path('summary'), 'utf8')).toBe('text')
  })

  it('is for this user alone if it is new', () => {
    const before = process.umask(0)
    output(dir.path('summary')).write('text')
    process.umask(before)
    expect(statSync(dir.path('summary')).mode & 0o777).toBe(0o600)
  })

  it.each([
    ['folder', /^--json: .+\/folder is a folder; name a file$/],
    ['no/such', /^--json: .*ENOENT: /],
  ])('is refused as %s', (name, message) => {
    expect(() => output(dir.path(name))).toThrow(message)
  })
})
