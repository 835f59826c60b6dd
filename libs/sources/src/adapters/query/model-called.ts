/** What messages call a model. While somebody writes a model, it has no name yet. */
export function modelCalled(name: string): string {
  return name === '' ? 'the model' : `model ${name}`
}

/** The same at the beginning of a sentence. */
export function modelFirst(name: string): string {
  return name === '' ? 'The model' : `Model ${name}`
}
