import { useTempDir } from './helpers/temp-dir'
import { makeReference, REFERENCE, readReference } from './package/api-reference'

describe('the reference of the API', () => {
  const dir = useTempDir()

  it('is what the docstrings say now, and nothing public goes without one (npm run docs)', () => {
    makeReference(dir.path('api'))
    expect(readReference(REFERENCE)).toEqual(readReference(dir.path('api')))
  })
})
