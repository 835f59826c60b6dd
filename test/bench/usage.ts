/** The resources that processes use, as Linux counts them in /proc. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'

const TICKS_PER_SECOND = 100

export interface Usage {
  readonly cpuSeconds: number
  readonly peakRssMb: number
}

/** CPU time and peak memory of a process since its start. Rejects if it has ended. */
export async function usageOf(pid: number): Promise<Usage> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return {
    cpuSeconds: ticks / TICKS_PER_SECOND,
    peakRssMb: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024),
  }
}

/**
 * Runs a program to its end. CPU time and peak memory are those of it and of what it started and waited for.
 * Rejects with its output if it fails.
 */
export async function runTimed(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ readonly stdout: string; readonly usage: Usage }> {
  const child = spawn('python3', ['-c', TIMED, ...command], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [, cpu, peak] = /^@usage (\S+) (\S+)$/m.exec(stderr) ?? []
  if (exitCode !== 0 || cpu === undefined)
    throw new Error(`exit code ${String(exitCode)} of ${command.join(' ')}: ${stdout}${stderr}`)
  return {
    stdout,
    usage: { cpuSeconds: Number(cpu), peakRssMb: Math.round(Number(peak) / 1024) },
  }
}

/** Waits for a child and prints what all children used. Memory is that of the largest. */
const TIMED = `
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"\\n@usage {used.ru_utime + used.ru_stime} {used.ru_maxrss}", file=sys.stderr)
sys.exit(code)
`
