/** For `node --import`: prints, as the process ends, the packages that it has loaded, as JSON on stderr. */
import { registerHooks } from 'node:module'
import { writeSync } from 'node:fs'

const STDERR = 2
const packages = new Set<string>()

registerHooks({
  load(url, context, nextLoad) {
    const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? []
    if (name !== undefined) packages.add(name)
    return nextLoad(url, context)
  },
})
process.on('exit', () => writeSync(STDERR, `\n${JSON.stringify([...packages].sort())}\n`))
