#!/bin/sh
# Makes the recordings of this folder: espeak-ng speaks, sox writes 8 kHz mu-law WAV files. Run it in this folder.
# Both voices are synthetic; nobody's voice is in them.
set -eu

speak() { # name, voice, words a minute, text
    espeak-ng -v "$2" -s "$3" --stdout "$4" | sox -t wav - -r 8000 -c 1 -e mu-law "$1.wav" norm -6 silence 1 0.02 0.3% reverse silence 1 0.02 0.3% reverse pad 0 0.05
}

agent() { speak "$1" en-us+f3 165 "$2"; }
caller() { speak "$1" en-us+m3 160 "$2"; }

agent hello "Corner Bakery, good morning. What can I do for you?"
agent ordered "Two loaves of rye bread. They will be ready tomorrow from seven o'clock on. You can pick them up at the counter, or at the back door when the shop is closed, and you pay when you come. At what time would you like to come?"
agent time "Nine o'clock tomorrow. Thank you. Is there anything else?"
agent person "Of course. One moment please, I will put you through to a colleague. Good bye."
agent again "I am sorry, I did not hear you. Are you still there?"

caller order "Two loaves of rye bread, please."
caller nine "Tomorrow at nine."
caller colleague "Can I talk to a person about a birthday cake?"
