/* A header that does not compile alone: headers.sh must refuse it. */
struct needs_size { size_t length; };
