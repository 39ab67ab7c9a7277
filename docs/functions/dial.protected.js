// Where a call goes when the agent is done, as a Twilio Function: END_OF_INTERACTION_URL=https://YOUR-DOMAIN.twil.io/dial
// `protected` in the file's name has Twilio refuse requests that it has not signed itself.
// Variables: AGENT_NUMBER, the number or SIP address of people.

const SORRY = 'All our colleagues are busy. Please call again later. Good bye.';

exports.handler = (context, event, callback) => {
  const twiml = new Twilio.twiml.VoiceResponse();
  if (event.DialCallStatus) {
    // The <Dial action>: they have talked to each other, or nobody has answered.
    if (event.DialCallStatus !== 'completed') twiml.say(SORRY);
    twiml.hangup();
  } else if (wantsPerson(event)) {
    const action = `https://${context.DOMAIN_NAME}${context.PATH}`;
    const dial = twiml.dial({ action, answerOnBridge: true, timeout: 30 });
    if (context.AGENT_NUMBER.startsWith('sip:')) dial.sip(context.AGENT_NUMBER);
    else dial.number(context.AGENT_NUMBER);
  } else {
    // `completed`: the agent has said its good bye, and it was heard to its end.
    twiml.hangup();
  }
  callback(null, twiml);
};

/** Whether the agent has asked for a person, or could not be had: then a person is better than nobody. */
function wantsPerson({ VirtualAgentStatus, dialogflowJSON }) {
  const isIntent = displayName(dialogflowJSON) === 'speak-to-an-agent';
  return isIntent || VirtualAgentStatus === 'live-agent-handoff' || VirtualAgentStatus === 'failed';
}

function displayName(text) {
  try {
    return JSON.parse(text).intent.displayName;
  } catch {
    return '';
  }
}
