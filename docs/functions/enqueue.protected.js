// Where a call goes when the agent is done, as a Twilio Function, for people at Twilio Flex:
// END_OF_INTERACTION_URL=https://YOUR-DOMAIN.twil.io/enqueue
// `protected` in the file's name has Twilio refuse requests that it has not signed itself.
// Variables: WORKFLOW_SID, TaskRouter's workflow (WW…). Its filters see the attributes below.

exports.handler = (context, event, callback) => {
  const twiml = new Twilio.twiml.VoiceResponse();
  if (event.VirtualAgentStatus === 'live-agent-handoff' || event.VirtualAgentStatus === 'failed') {
    twiml.enqueue({ workflowSid: context.WORKFLOW_SID }).task({}, JSON.stringify(attributes(event)));
  } else {
    // `completed`: the agent has said its good bye, and it was heard to its end.
    twiml.hangup();
  }
  callback(null, twiml);
};

/** What the person sees before the call is taken. Of a failed agent there is nothing but the number and the status. */
function attributes({ From, VirtualAgentStatus, VirtualAgentProviderData, dialogflowJSON }) {
  const { intent, parameters, truncated } = read(dialogflowJSON);
  const { AgentHandoffParameters } = read(VirtualAgentProviderData);
  return {
    type: 'inbound',
    name: From,
    reason: VirtualAgentStatus,
    intent: intent?.displayName,
    parameters,
    // What the agent says about the hand-off: a department, for example.
    handoff: AgentHandoffParameters,
    // Some of it did not fit into the call's TwiML.
    truncated,
  };
}

function read(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
