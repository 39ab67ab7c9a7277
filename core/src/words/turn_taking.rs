//! Small words by language that say nothing by themselves: what a listener says to show that he listens, what joins the
//! choices of a question, and what ends no thought.

/// The small words of one language, as a recogniser writes them, in small letters.
#[derive(Debug)]
pub(super) struct SmallWords {
    /// What a listener says while the other one speaks: phrases with commas between them. None of these refuses, asks
    /// or stops anything.
    pub(super) backchannels: &'static str,
    /// What stands between two choices, with commas between them.
    pub(super) or: &'static str,
    /// Words that end no thought, with spaces between them: conjunctions, prepositions, articles, and the sounds that
    /// people make while they think. Whoever stops after one of them has more to say.
    pub(super) unfinished: &'static str,
    /// The ends of words that do the same: particles, and words of a language without spaces.
    pub(super) unfinished_ends: &'static str,
}

pub(super) const ENGLISH: SmallWords = SmallWords {
    backchannels: "mhm, mm, mmm, mm-hmm, hmm, hm, uh-huh, uh, um, ah, aha, oh, okay, ok, right, all right, alright, yeah, \
        yep, sure, i see, got it, good, great",
    or: "or",
    unfinished: "a an the and or but nor so because if that which who whose with without of to for from at in on by as \
        into onto about than between my your his her our their its this these those is are was were am be i'm \
        i'd i'll it's um uh er erm uhm hmm like also plus then",
    unfinished_ends: "",
};

pub(super) const SPANISH: SmallWords = SmallWords {
    backchannels: "mhm, mm, hmm, ajá, aja, ah, eh, oh, sí, vale, ya, ok, okay, claro, bueno, bien, entiendo, de acuerdo, \
        ya veo",
    or: "o, u",
    unfinished: "el la los las un una unos unas y e o u ni pero porque que si como con sin de del a al en por para entre \
        mi tu su mis tus sus es son era este esta eh em este pues entonces o sea",
    unfinished_ends: "",
};

pub(super) const FRENCH: SmallWords = SmallWords {
    backchannels: "mhm, mm, hmm, hum, euh, ah, oh, oui, ouais, d'accord, ok, okay, bien, très bien, je vois, entendu, \
        ah oui, voilà",
    or: "ou, ou bien",
    unfinished: "le la les un une des du de d' et ou mais donc car que qui si avec sans pour par dans sur à au aux en \
        entre mon ma mes ton ta tes son sa ses notre votre leur est sont c'est euh heu alors puis",
    unfinished_ends: "",
};

pub(super) const GERMAN: SmallWords = SmallWords {
    backchannels: "mhm, mm, hmm, hm, äh, ähm, ah, aha, ach so, oh, ja, jaja, genau, okay, ok, gut, klar, alles klar, \
        verstehe, ich verstehe, in ordnung",
    or: "oder",
    unfinished: "der die das den dem des ein eine einen einem einer eines und oder aber denn weil dass wenn ob mit ohne \
        von vom zu zum zur für aus bei nach in im am an auf über zwischen mein meine meinen dein ihr ihre unser \
        ist sind war ich äh ähm öh also dann sowie",
    unfinished_ends: "",
};

pub(super) const ITALIAN: SmallWords = SmallWords {
    backchannels: "mhm, mm, hmm, eh, ah, oh, sì, ok, okay, va bene, bene, certo, capisco, capito, d'accordo, ho capito",
    or: "o, oppure",
    unfinished: "il lo la i gli le un uno una e ed o oppure ma perché che se come con senza di del della dei delle a al alla ai \
        da dal dalla in nel nella su sul per tra fra mio mia miei tuo tua suo sua è sono era ehm eh allora poi \
        cioè",
    unfinished_ends: "",
};

pub(super) const PORTUGUESE: SmallWords = SmallWords {
    backchannels: "mhm, mm, hmm, hum, aham, ahã, uhum, ah, oh, é, sim, ok, okay, tá, está bem, tá bom, certo, claro, \
        entendi, pois, pois é",
    or: "ou",
    unfinished: "o a os as um uma uns umas e ou mas porque que se como com sem de do da dos das em no na nos nas por pelo \
        pela para pra entre meu minha meus seu sua são era hum eh então aí tipo",
    unfinished_ends: "",
};

pub(super) const DUTCH: SmallWords = SmallWords {
    backchannels: "mhm, mm, hmm, hm, eh, ah, aha, oh, ja, jaja, oké, ok, goed, precies, juist, prima, ik snap het, \
        ik begrijp het",
    or: "of",
    unfinished: "de een en of maar want omdat dat als met zonder van voor naar in op aan bij uit over tussen te om \
        mijn jouw uw zijn haar onze is was eh ehm uh dus dan plus",
    unfinished_ends: "",
};

pub(super) const JAPANESE: SmallWords = SmallWords {
    backchannels: "はい, ええ, うん, ふん, ふーん, あー, ああ, へー, へえ, なるほど, そう, そうですか, そうですね, わかりました, 分かりました, オーケー, ok",
    or: "または, 又は, それとも, もしくは",
    unfinished: "",
    unfinished_ends: "えっと ええと えーと あの その けど が ので と を それから そして だから または 又は それとも もしくは",
};

pub(super) const KOREAN: SmallWords = SmallWords {
    backchannels: "네, 예, 응, 음, 흠, 아, 어, 그래요, 그렇군요, 알겠습니다, 네네, 오케이, 맞아요",
    or: "또는, 혹은, 아니면",
    unfinished: "그리고 그런데 하지만 그래서 그러니까 음 어 저 그 저기 및 또 또는 혹은 아니면",
    unfinished_ends: "이랑 하고 거나 지만 는데 니까 를",
};

pub(super) const CHINESE: SmallWords = SmallWords {
    backchannels: "嗯, 嗯哼, 哦, 噢, 喔, 啊, 呃, 对, 對, 是, 是的, 好, 好的, 行, 明白, 明白了, 知道了, ok",
    or: "或, 或者, 或是, 还是, 還是",
    unfinished: "",
    unfinished_ends: "呃 那个 那個 这个 這個 就是 和 跟 还有 還有 或 或者 或是 还是 還是 因为 因為 所以 但是 可是 如果 然后 然後 以及",
};

pub(super) const HINDI: SmallWords = SmallWords {
    backchannels: "हाँ, हां, हम्म, हूँ, अच्छा, ठीक, ठीक है, जी, जी हाँ, ओके, सही",
    or: "या, अथवा",
    unfinished: "और या अथवा लेकिन मगर क्योंकि कि अगर तो का की के को में से पर ने मेरा मेरी मेरे उम अ यानी",
    unfinished_ends: "",
};

pub(super) const ARABIC: SmallWords = SmallWords {
    backchannels: "نعم, أجل, آه, اه, امم, همم, طيب, حسنا, حسناً, تمام, أوكي, اوكي, صح, ماشي",
    or: "أو, أم",
    unfinished: "و أو أم لكن لأن أن إن إذا مع من إلى على في عن بين هذا هذه يعني ام ثم",
    unfinished_ends: "",
};
