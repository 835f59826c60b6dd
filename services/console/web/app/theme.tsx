/** Light, dark, or as the system has it. */
import { useState, type ReactElement } from 'react'

const KEY = 'sluice.theme'
const CHOICES = ['system', 'light', 'dark'] as const
type Theme = (typeof CHOICES)[number]

function storedTheme(): Theme {
  try {
    return CHOICES.find(choice => choice === localStorage.getItem(KEY)) ?? 'system'
  } catch {
    return 'system'
  }
}

function show(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // Without storage it holds until the page is loaded again.
  }
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
