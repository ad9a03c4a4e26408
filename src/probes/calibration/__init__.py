"""How often a verdict is wrong: the instrument judged on worlds whose truth is known.

``worlds`` draws values, ``rules`` decides them (the instrument's own among others),
``study`` and ``matrices`` count the errors, ``whole`` runs the whole instrument
with learners of known truth, ``summary`` writes what was found. Run by
``probes calibrate``; nothing else imports this package.
"""
