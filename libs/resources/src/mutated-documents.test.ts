import { mutatedDocuments } from '../test/mutated-documents.ts'

mutatedDocuments(2_000)
