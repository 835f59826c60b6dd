/** Light, dark, or as the system has it. */
import { useState, type ReactElement } from 'react'
import { storedText, storeText } from '../ui/storage.ts'

const KEY = 'sluice.theme'
const CHOICES = ['system', 'light', 'dark'] as const
type Theme = (typeof CHOICES)[number]

function storedTheme(): Theme {
  const stored = storedText(KEY)
  return CHOICES.find(choice => choice === stored) ?? 'system'
}

function show(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
  storeText(KEY, theme)
}

export function ThemeSwitch(): ReactElement {
  const [theme, setTheme] = useState(storedTheme)
  return (
    <label className="theme">
      <span className="hidden">Colours</span>
      <select
        value={theme}
        onChange={event => {
          const chosen = CHOICES.find(choice => choice === event.target.value) ?? 'system'
          show(chosen)
          setTheme(chosen)
        }}
      >
        <option value="system">System colours</option>
        <option value="light">Light colours</option>
        <option value="dark">Dark colours</option>
      </select>
    </label>
  )
}
