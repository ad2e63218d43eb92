import { readFileSync } from 'node:fs'
import { checkOptions } from '../../src/writer/options'
import { makeReference, REFERENCE, readReference } from '../package/api-reference'
import { makeOptionsPage, OPTIONS_PAGE } from '../package/options-page'
import { useTempDir } from '../support/temp-dir'

describe('the reference of the API', () => {
  const dir = useTempDir()

  it('is what the docstrings say now, and every public name has one (npm run docs)', () => {
    makeReference(dir.path('api'))
    expect(readReference(REFERENCE)).toEqual(readReference(dir.path('api')))
  })
})

describe('the page of the options', () => {
  const page = readFileSync(OPTIONS_PAGE, 'utf8')

  it('is what the docstrings say now (npm run docs)', () => {
    expect(page).toBe(makeOptionsPage(page))
  })

  it('has every option', () => {
    const { fsync, ...others } = checkOptions({})
    const names = [...Object.keys(others), ...Object.keys(fsync).map((name) => `fsync.${name}`)]
    const listed = [...page.matchAll(/^## (.+)$/gm)].map(([, name = '']) => name)
    expect(listed.toSorted()).toEqual(names.toSorted())
  })
})
