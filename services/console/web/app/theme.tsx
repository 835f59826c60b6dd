/** The library of components with the console's look, and the choice of light or dark colours. */
import {
  Button,
  MantineProvider,
  useMantineColorScheme,
  type MantineColorScheme,
  type MantineColorSchemeManager,
  type MantineThemeOverride,
  type VariantColorsResolver,
} from '@mantine/core'
import type { ReactElement, ReactNode } from 'react'
import { storedText, storeText } from '../ui/storage.ts'

const KEY = 'sluice.theme'

/**
 * The system's colours are stored as `system`, and called `auto` by the library. `first.js` reads them, too.
 */
function storedScheme(): MantineColorScheme {
  const stored = storedText(KEY)
  return stored === 'light' || stored === 'dark' ? stored : 'auto'
}

const schemes: MantineColorSchemeManager = {
  get: storedScheme,
  set: scheme => storeText(KEY, scheme === 'auto' ? 'system' : scheme),
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  clear: () => storeText(KEY, null),
}

const NO_BORDER = '1px solid transparent'

/** The looks of buttons by variant, in the colours of `tokens.css`. */
const variantColorResolver: VariantColorsResolver = ({ variant }) => {
  const hover = 'var(--raised)'
  if (variant === 'filled')
    return {
      ...{ background: 'var(--accent-ground)', hover: 'var(--accent-hover)', color: 'var(--on-accent)' },
      border: NO_BORDER,
    }
  if (variant === 'subtle') return { background: 'transparent', hover, color: 'inherit', border: NO_BORDER }
  if (variant === 'outline')
    return { background: 'var(--card)', hover, color: 'var(--bad)', border: '1px solid var(--bad)' }
  return { background: 'var(--card)', hover, color: 'var(--text)', border: '1px solid var(--line-button)' }
}

const theme: MantineThemeOverride = {
  variantColorResolver,
  cursorType: 'pointer',
  components: { Button: Button.extend({ defaultProps: { variant: 'default' } }) },
}

/** The pages' policy allows no `<style>`, so all styles of the library come from its files. */
export function Library({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <MantineProvider
      theme={theme}
      colorSchemeManager={schemes}
      defaultColorScheme="auto"
      withCssVariables={false}
      withGlobalClasses={false}
      withStaticClasses={false}
    >
      {children}
    </MantineProvider>
  )
}

const CHOICES = [
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
  { value: 'auto', label: 'System' },
] as const

export function ThemeSwitch(): ReactElement {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <fieldset className="theme">
      <legend className="hidden">Theme</legend>
      {CHOICES.map(({ value, label }) => (
        <label key={value}>
          <input
            type="radio"
            name="theme"
            className="hidden"
            checked={value === colorScheme}
            onChange={() => setColorScheme(value)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  )
}
