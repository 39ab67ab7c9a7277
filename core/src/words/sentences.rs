//! The built-in words by language. Nothing else in this service says a word of its own to a caller.

/// The words of one language. Each sentence is short and polite, and works on a telephone in every region.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sentences {
    /// What begins a conversation with an agent that greets nobody by itself (CX), as if the caller had said it.
    pub(super) starting_text: &'static str,
    /// The caller waits for the agent.
    pub(super) one_moment: &'static str,
    /// A limit of the settings ends the call.
    pub(super) goodbye: &'static str,
    /// There is no room for the call.
    pub(super) busy: &'static str,
    /// The agent cannot be reached.
    pub(super) failed: &'static str,
    /// The media stream ended, and nothing else carries the call on.
    pub(super) lost: &'static str,
}

pub(super) const ENGLISH: Sentences = Sentences {
    starting_text: "hi",
    one_moment: "One moment, please.",
    goodbye: "Thank you for calling. Goodbye.",
    busy: "All our lines are busy at the moment. Please call again in a few minutes.",
    failed: "We are sorry, there is a technical problem. Please call again later.",
    lost: "We are sorry, the connection was lost. Please call again.",
};

pub(super) const SPANISH: Sentences = Sentences {
    starting_text: "hola",
    one_moment: "Un momento, por favor.",
    goodbye: "Gracias por su llamada. Hasta luego.",
    busy: "En este momento todas nuestras líneas están ocupadas. Por favor, vuelva a llamar en unos minutos.",
    failed: "Lo sentimos, se ha producido un problema técnico. Por favor, vuelva a llamar más tarde.",
    lost: "Lo sentimos, se ha perdido la conexión. Por favor, vuelva a llamar.",
};

pub(super) const FRENCH: Sentences = Sentences {
    starting_text: "bonjour",
    one_moment: "Un instant, s'il vous plaît.",
    goodbye: "Merci de votre appel. Au revoir.",
    busy: "Toutes nos lignes sont actuellement occupées. Veuillez rappeler dans quelques minutes.",
    failed: "Nous sommes désolés, nous rencontrons un problème technique. Veuillez rappeler plus tard.",
    lost: "Nous sommes désolés, la communication a été interrompue. Veuillez rappeler.",
};

pub(super) const GERMAN: Sentences = Sentences {
    starting_text: "hallo",
    one_moment: "Einen Moment, bitte.",
    goodbye: "Vielen Dank für Ihren Anruf. Auf Wiederhören.",
    busy: "Zurzeit sind leider alle Leitungen belegt. Bitte rufen Sie in einigen Minuten noch einmal an.",
    failed: "Es tut uns leid, im Moment liegt ein technisches Problem vor. Bitte rufen Sie später noch einmal an.",
    lost: "Es tut uns leid, die Verbindung wurde unterbrochen. Bitte rufen Sie noch einmal an.",
};

pub(super) const ITALIAN: Sentences = Sentences {
    starting_text: "ciao",
    one_moment: "Un momento, per favore.",
    goodbye: "Grazie per aver chiamato. Arrivederci.",
    busy: "Al momento tutte le linee sono occupate. La preghiamo di richiamare tra qualche minuto.",
    failed: "Siamo spiacenti, si è verificato un problema tecnico. La preghiamo di richiamare più tardi.",
    lost: "Siamo spiacenti, la comunicazione si è interrotta. La preghiamo di richiamare.",
};

pub(super) const PORTUGUESE: Sentences = Sentences {
    starting_text: "olá",
    one_moment: "Um momento, por favor.",
    goodbye: "Obrigado por ligar. Até logo.",
    busy: "Neste momento, todas as nossas linhas estão ocupadas. Por favor, ligue novamente dentro de alguns minutos.",
    failed: "Lamentamos, mas ocorreu um problema técnico. Por favor, ligue novamente mais tarde.",
    lost: "Lamentamos, mas a ligação foi interrompida. Por favor, ligue novamente.",
};

pub(super) const DUTCH: Sentences = Sentences {
    starting_text: "hallo",
    one_moment: "Een ogenblik geduld, alstublieft.",
    goodbye: "Bedankt voor uw telefoontje. Tot ziens.",
    busy: "Op dit moment zijn al onze lijnen bezet. Probeert u het over enkele minuten nog eens.",
    failed: "Het spijt ons, er is een technisch probleem opgetreden. Probeert u het later nog eens.",
    lost: "Het spijt ons, de verbinding is verbroken. Belt u alstublieft opnieuw.",
};

pub(super) const JAPANESE: Sentences = Sentences {
    starting_text: "こんにちは",
    one_moment: "少々お待ちください。",
    goodbye: "お電話ありがとうございました。失礼いたします。",
    busy: "ただいま電話が大変混み合っております。恐れ入りますが、しばらく経ってからおかけ直しください。",
    failed: "申し訳ございません。ただいま技術的な問題が発生しております。恐れ入りますが、後ほどおかけ直しください。",
    lost: "申し訳ございません。通信が途切れてしまいました。恐れ入りますが、もう一度おかけ直しください。",
};

pub(super) const KOREAN: Sentences = Sentences {
    starting_text: "안녕하세요",
    one_moment: "잠시만 기다려 주십시오.",
    goodbye: "전화해 주셔서 감사합니다. 안녕히 계십시오.",
    busy: "지금은 모든 회선이 통화 중입니다. 잠시 후 다시 전화해 주시기 바랍니다.",
    failed: "죄송합니다. 기술적인 문제가 발생했습니다. 나중에 다시 전화해 주시기 바랍니다.",
    lost: "죄송합니다. 연결이 끊어졌습니다. 다시 전화해 주시기 바랍니다.",
};

pub(super) const CHINESE: Sentences = Sentences {
    starting_text: "你好",
    one_moment: "请稍等。",
    goodbye: "感谢您的来电，再见。",
    busy: "目前所有线路均忙，请您过几分钟再拨。",
    failed: "非常抱歉，系统出现技术故障，请您稍后再拨。",
    lost: "非常抱歉，通话连接已中断，请您重新拨打。",
};

pub(super) const HINDI: Sentences = Sentences {
    starting_text: "नमस्ते",
    one_moment: "कृपया एक क्षण प्रतीक्षा करें।",
    goodbye: "कॉल करने के लिए धन्यवाद। नमस्ते।",
    busy: "इस समय हमारी सभी लाइनें व्यस्त हैं। कृपया कुछ मिनट बाद फिर से कॉल करें।",
    failed: "हमें खेद है, इस समय एक तकनीकी समस्या है। कृपया कुछ देर बाद फिर से कॉल करें।",
    lost: "हमें खेद है, कॉल का संपर्क टूट गया है। कृपया फिर से कॉल करें।",
};

pub(super) const ARABIC: Sentences = Sentences {
    starting_text: "مرحبا",
    one_moment: "لحظة من فضلكم.",
    goodbye: "شكرًا لاتصالكم. مع السلامة.",
    busy: "جميع خطوطنا مشغولة حاليًا. يُرجى معاودة الاتصال بعد بضع دقائق.",
    failed: "نعتذر، لقد حدثت مشكلة فنية. يُرجى معاودة الاتصال في وقت لاحق.",
    lost: "نعتذر، لقد انقطع الاتصال. يُرجى معاودة الاتصال.",
};
