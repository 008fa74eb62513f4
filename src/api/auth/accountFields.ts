import { normaliseEmail, normaliseName, type Normalised } from '../../domain/account/names.ts';
import { invalidField } from '../../domain/invalidRequest.ts';

/** @throws Problem invalid_request */
export function accountName(text: string): Normalised {
  const name = normaliseName(text);
  if (!name) throw invalidField('/name', '3 to 50 letters, digits or underscores', 'invalid_format');
  return name;
}

/** @throws Problem invalid_request */
export function mailAddress(text: string): Normalised {
  const email = normaliseEmail(text);
  if (!email) throw invalidField('/email', 'a mail address', 'invalid_format');
  return email;
}
