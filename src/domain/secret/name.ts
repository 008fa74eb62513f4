/** Of a secret: what an expression can name after `secrets.`, or in `secrets["…"]` when it has a dash. */
export const SECRET_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
