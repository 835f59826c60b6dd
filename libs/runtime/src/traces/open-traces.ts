/** Whether runs are traced: OpenTelemetry's own variables say so. Without them nothing is loaded. */
import type { Environment } from '../environment.ts'
import type { TracedProcess, Traces } from './span.ts'

const ENDPOINTS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']

/**
 * Null if runs are not traced. Disposing sends what is left, for two seconds at most. Variables that are
 * wrong are logged, and never end a process: then nothing is traced.
 */
export async function openTraces(
  env: Environment,
  of: TracedProcess,
): Promise<(Traces & AsyncDisposable) | null> {
  const isAsked = ENDPOINTS.some(name => (env[name] ?? '') !== '')
  const isOff = env['OTEL_SDK_DISABLED'] === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none'
  if (!isAsked || isOff) return null
  const { createOtlpTraces, otlpSettings } = await import('./otlp-traces.ts')
  try {
    return createOtlpTraces(otlpSettings(env, of), of.logger)
  } catch (err) {
    of.logger.warn({ err }, 'runs are not traced: the variables of OpenTelemetry are wrong')
    return null
  }
}
