"""What annotators see in Label Studio: one labelling configuration (XML) per template.

Colours are Label Studio's own variables, so that the page follows its light and
dark theme. Knows nothing about tasks; their variables are `prompt`, `answer_a`,
`answer_b` and, for the ranker, `answers`.
"""

from __future__ import annotations

_STYLE = """\
  <Style>
    .wb { max-width: 1200px; margin: 0 auto; padding: 8px 4px 24px; }
    .wb .ant-typography, .wb h3, .wb h4, .wb h5 { margin: 0; }
    .wb-prompt { padding: 14px 18px; margin-bottom: 16px; border-radius: 12px;
                 background: var(--color-primary-background, #eef3ff);
                 max-height: 30vh; overflow: auto; }
    .wb-answers { display: grid; gap: 16px; margin-bottom: 20px;
                  grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }
    .wb-answer { padding: 12px 18px 16px; border-radius: 12px; overflow: auto;
                 max-height: 55vh; min-height: 96px;
                 border: 1px solid var(--color-neutral-border, #8884);
                 background: var(--color-neutral-surface, transparent); }
    .wb-answer .lsf-richtext__container { min-height: 64px; }
    .wb-prompt .lsf-object, .wb-answer .lsf-object,
    .wb-prompt .lsf-richtext, .wb-answer .lsf-richtext,
    .wb-prompt .lsf-richtext__container, .wb-answer .lsf-richtext__container
      { margin: 0; padding: 0; border: 0; }
    .wb-prompt, .wb-answer { font-size: 15px; line-height: 1.55; white-space: pre-wrap;
                             overflow-wrap: anywhere; }
    .wb-ask { display: flex; flex-wrap: wrap; gap: 8px 40px; align-items: flex-start;
              padding: 14px 18px; border-radius: 12px;
              background: var(--color-neutral-background, #8881); }
    .wb-ask > * { padding: 0; margin: 0; }
    .wb-ask .wb-comment { flex: 1 1 280px; align-self: center; }
    .wb-comment [data-testid="textarea-submit-section"] { display: none; }  /* Submit adds it */
  </Style>
"""

_PROMPT = """\
  <View className="wb-prompt">
    <Text name="prompt" value="$prompt" selectionEnabled="false"/>
  </View>
"""

_ANSWERS = """\
  <View className="wb-answers">
    <View className="wb-answer">
      <Header value="A" size="4"/>
      <Text name="answer_a" value="$answer_a" selectionEnabled="false"/>
    </View>
    <View className="wb-answer">
      <Header value="B" size="4"/>
      <Text name="answer_b" value="$answer_b" selectionEnabled="false"/>
    </View>
  </View>
"""

_VERDICT = """\
    <View>
      <Header value="Better answer" size="5"/>
      <Choices name="verdict" toName="prompt" choice="single-radio" showInline="true"
               required="true" requiredMessage="Choose A, B, tie or both bad">
        <Choice value="A" hotkey="1"/>
        <Choice value="B" hotkey="2"/>
        <Choice value="tie" hotkey="3"/>
        <Choice value="both bad" hotkey="4"/>
      </Choices>
    </View>
"""

_REST = """\
    <View>
      <Header value="How sure?" size="5"/>
      <Rating name="confidence" toName="prompt" maxRating="5"/>
    </View>
    <View className="wb-comment">
      <TextArea name="comment" toName="prompt" rows="2" placeholder="Why? (optional)"
                editable="true" maxSubmissions="1"/>
    </View>
"""

_PAIRWISE = """\
  <Pairwise name="pairwise" toName="answer_a,answer_b"
            selectionStyle="outline: 3px solid #4a7dff; outline-offset: 2px;"/>
"""

_RANKER = """\
  <Style>
    .htx-ranker-column { flex: 1; border-radius: 12px; padding: 12px;
                         border: 1px solid var(--color-neutral-border, #8884);
                         background: var(--color-neutral-background, #8881); }
    .htx-ranker-item { border-radius: 10px; margin-bottom: 8px; white-space: pre-wrap;
                       overflow-wrap: anywhere; max-height: 40vh; overflow: auto;
                       border: 1px solid var(--color-neutral-border, #8884);
                       background: var(--color-neutral-surface, #fff); }
    .htx-ranker-item p:last-child { display: none; }
  </Style>
  <List name="answers" value="$answers" title="Answers"/>
  <Ranker name="ranking" toName="answers">
    <Bucket name="best_first" title="Best first"/>
    <Bucket name="bad" title="Bad"/>
  </Ranker>
"""


def _page(*parts: str) -> str:
    return '<View className="wb">\n' + "".join(parts) + "</View>\n"


def _ask(*parts: str) -> str:
    return '  <View className="wb-ask">\n' + "".join(parts) + "  </View>\n"


PAGES = {
    "verdict": _page(_STYLE, _PROMPT, _ANSWERS, _ask(_VERDICT, _REST)),
    "pairwise": _page(_STYLE, _PROMPT, _PAIRWISE, _ANSWERS, _ask(_REST)),
    "ranker": _page(_STYLE, _PROMPT, _RANKER, _ask(_REST)),
}
