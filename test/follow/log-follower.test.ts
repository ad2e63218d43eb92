import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, renameSync, writeFileSync } from 'node:fs'
import type { LogFile } from '../../src/follow/log-file'
import { LogFollower } from '../../src/follow/log-follower'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()

/** The texts of the files, and whether each is read now. */
async function textsOf(files: readonly LogFile[]): Promise<string[]> {
  const texts: string[] = []
  for (const file of files) {
    let text = ''
    for await (const chunk of file.chunks()) text += chunk.toString()
    file.keep()
    texts.push(text)
  }
  return texts
}

describe('LogFollower', () => {
  let follower: LogFollower
  const notes: string[] = []
  const log = () => dir.path('exec.log')
  const rotate = (n: number, text: string) => {
    renameSync(log(), `${log()}.${n}`)
    writeFileSync(log(), text)
  }

  beforeEach(() => {
    notes.length = 0
    writeFileSync(log(), 'a 1\n')
    follower = new LogFollower({
      path: log(),
      onNote: ({ message }) => notes.push(message),
      isKnown: async () => false,
    })
  })
  afterEach(async () => {
    await follower.close()
    expect(notes).toEqual([])
  })

  it.each([[1], [2], [3]])(
    'gives a file once that was packed after %i looks without reading',
    async (looks) => {
      for (let i = 0; i < looks; i++) await follower.look()
      rotate(3, 'b 2\n')
      await follower.look()
      rotate(2, 'c 3\n')
      execFileSync('gzip', [`${log()}.3`, `${log()}.2`])
      rotate(1, 'd 4\n')
      execFileSync('gzip', [`${log()}.1`])
      expect(await textsOf(await follower.look())).toEqual(['a 1\n', 'b 2\n', 'c 3\n', 'd 4\n'])
      expect(await follower.look()).toEqual([])
      appendFileSync(log(), 'e 5\n')
      expect(await textsOf(await follower.look())).toEqual(['e 5\n'])
    },
  )

  it('reads an empty file that was packed no more than its text', async () => {
    writeFileSync(log(), '')
    await follower.look()
    rotate(1, 'b 2\n')
    execFileSync('gzip', [`${log()}.1`])
    expect(await textsOf(await follower.look())).toEqual(['b 2\n'])
  })

  it('gives a packed file once although an older one that is empty turns up behind it', async () => {
    expect(await textsOf(await follower.look())).toEqual(['a 1\n'])
    writeFileSync(`${log()}.2`, '')
    renameSync(log(), `${log()}.1`)
    execFileSync('gzip', [`${log()}.1`])
    for (let i = 0; i < 3; i++) expect(await textsOf(await follower.look())).toEqual([])
    appendFileSync(`${log()}.2`, 'late\n')
    expect(await textsOf(await follower.look())).toEqual(['late\n'])
    writeFileSync(log(), 'b 2\n')
    expect(await textsOf(await follower.look())).toEqual(['b 2\n'])
    expect(await follower.look()).toEqual([])
  })

  it('reads a file from its start that was copied, truncated, written to and renamed', async () => {
    expect(await textsOf(await follower.look())).toEqual(['a 1\n'])
    appendFileSync(log(), 'a 2\n')
    copyFileSync(log(), `${log()}.1`)
    writeFileSync(log(), 'b 3\n')
    renameSync(`${log()}.1`, `${log()}.2`)
    rotate(1, 'c 4\n')
    expect(await textsOf(await follower.look())).toEqual(['a 2\n', 'b 3\n', 'c 4\n'])
    expect(await follower.look()).toEqual([])
    expect(notes.splice(0)).toEqual([
      `${log()} was truncated or rewritten before byte 4; the rest was read from exec.log.2; what was written between the copy and the truncation is lost`,
    ])
  })
})
