/** The choice of light or dark colours, or the system's. */
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
      <span className="hidden">Theme</span>
      <select
        value={theme}
        onChange={event => {
          const chosen = CHOICES.find(choice => choice === event.target.value) ?? 'system'
          show(chosen)
          setTheme(chosen)
        }}
      >
        <option value="light">Light</option>
        <option value="dark">Dark</option>
        <option value="system">System</option>
      </select>
    </label>
  )
}
