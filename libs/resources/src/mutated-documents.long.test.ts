import { mutatedDocuments } from '../test/mutated-documents.ts'

mutatedDocuments(8_000)
