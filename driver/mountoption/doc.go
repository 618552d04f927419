// Package mountoption reads the text of o=, the mount options that people write for driver local and mount.cifs(8). Reading
// is pure and accepts everything; what an option becomes, and whether it is refused, is the business of a backend.
//
// [Public] gives the same text without secrets, for records and logs. It errs on the side of hiding: what follows a password
// and is no option's name may be the rest of a password whose comma was not written twice.
package mountoption
