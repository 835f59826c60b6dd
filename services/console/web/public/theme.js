// Runs before the page is drawn, so that it is not drawn in the other colours first.
try {
  const chosen = localStorage.getItem('sluice.theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
} catch {
  // Without storage the page follows the system.
}
