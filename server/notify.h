/* notify.h: telling systemd how we are (sd_notify(3)), without its library: one datagram. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

/* "READY=1", "STOPPING=1", "RELOADING=1"... Does nothing outside systemd. Thread: main. */
void notify(const char *state);

#endif
