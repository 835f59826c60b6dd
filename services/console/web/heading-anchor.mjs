/** The anchor of a heading, as GitHub makes it. `taken` has those of the page so far, and takes it. */
export function anchorOf(heading, taken) {
  const name = heading
    .replaceAll(/\]\([^)]*\)/g, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-')
  let anchor = name
  for (let count = 1; taken.has(anchor); count += 1) anchor = `${name}-${count}`
  taken.add(anchor)
  return anchor
}
