// What both live pages say.
export const texts = {
  sign_in: { en: "Sign in", ja: "サインイン" },
  sign_out: { en: "Sign out", ja: "サインアウト" },
  user: { en: "User name", ja: "ユーザー名" },
  password: { en: "Password", ja: "パスワード" },
  wrong_password: { en: "The user name or the password is wrong.", ja: "ユーザー名またはパスワードが正しくない。" },
  too_many: {
    en: "Too many attempts. Wait {seconds} seconds before the next one.",
    ja: "試行回数が多すぎる。{seconds}秒待ってから再度試す必要がある。",
  },
  no_password_yet: {
    en: "No user has a password yet. Set one on this machine with: {command}",
    ja: "パスワードが設定されたユーザーがいない。このコンピューターで次のコマンドを実行して設定する：{command}",
  },
  signed_out: { en: "The session has ended. Sign in again.", ja: "セッションが終了した。再度サインインする必要がある。" },
  signed_in_as: { en: "Signed in as {user}", ja: "{user} としてサインイン中" },
  no_answer: {
    en: "The program does not answer. It may have been stopped; this page tries again by itself.",
    ja: "プログラムから応答がない。停止している可能性がある。このページは自動的に再接続を試みる。",
  },
  failed: { en: "That did not work: {why}", ja: "実行できなかった：{why}" },
  unknown_reason: { en: "the program gave no reason (status {status})", ja: "理由は示されていない（状態コード {status}）" },
  live: { en: "Live", ja: "接続中" },
  connecting: { en: "Connecting", ja: "接続待ち" },
  lost: { en: "Connection lost", ja: "切断" },
  loading: { en: "Loading", ja: "読み込み中" },
  cancel: { en: "Back", ja: "戻る" },
  close: { en: "Close", ja: "閉じる" },
  copy: { en: "Copy", ja: "コピー" },
  copied: { en: "Copied", ja: "コピー済み" },
  pages: { en: "Pages", ja: "ページ" },
  none: { en: "None", ja: "なし" },
} as const;
