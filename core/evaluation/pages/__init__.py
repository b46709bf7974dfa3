"""The GO / NO-GO report: what an evaluation and the registry say, as one page for people to read.

    Dossier      everything the page may draw; what is missing is left out (dossier, gather)
    compose      Dossier → Page: sections of tables, lists, pictures and answers; pure
    html, markdown, text   Page → bytes of one kind; the only places where text is escaped

Every text of a dossier is hostile: answers, questions, reasons and names come from models and files.
"""
