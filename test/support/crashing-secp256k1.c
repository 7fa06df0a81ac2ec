// Stands in for libsecp256k1: does what the real one does ($REAL_SECP256K1), and crashes in the check of a signature while there is a file $CRASH_SECP256K1.

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static void *real(const char *name) {
  static void *library;
  if (library == NULL) library = dlopen(getenv("REAL_SECP256K1"), RTLD_NOW | RTLD_LOCAL);
  return library == NULL ? NULL : dlsym(library, name);
}

void *secp256k1_context_create(unsigned int flags) {
  void *(*create)(unsigned int) = real("secp256k1_context_create");
  return create(flags);
}

int secp256k1_xonly_pubkey_parse(const void *ctx, void *pubkey, const unsigned char *input32) {
  int (*parse)(const void *, void *, const unsigned char *) = real("secp256k1_xonly_pubkey_parse");
  return parse(ctx, pubkey, input32);
}

int secp256k1_schnorrsig_verify(const void *ctx, const unsigned char *sig64, const unsigned char *msg, size_t msglen,
                                const void *pubkey) {
  int (*verify)(const void *, const unsigned char *, const unsigned char *, size_t, const void *) =
      real("secp256k1_schnorrsig_verify");
  const char *file = getenv("CRASH_SECP256K1");
  if (file != NULL && access(file, F_OK) == 0) *(volatile int *)NULL = 1;
  return verify(ctx, sig64, msg, msglen, pubkey);
}
