import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import mutants from './mutants.json'

it('each mutant names text that stands once in its file', () => {
  const stale = mutants.filter(({ file, find }) => {
    const source = readFileSync(join(__dirname, '../../src', file), 'utf8')
    return source.split(find).length !== 2
  })
  expect(stale).toEqual([])
})
