# Every text of the core by its key, in English. Another language is a file like this one.
#
# Markdown is the small one of chats. What stands in braces is put in; what others wrote is inert by then. `count` is a number and
# chooses plural forms. A space at the beginning or the end of a text is written as {" "}.

## Features, cards, alerts

in-review = In review: pull request #{ $number }. { $sentence }
place = ({ $feature }, { $team })
card = **{ $title }** { $place }
    { $facts }
    Decide{ $until }: { $who }. { $given } of { $needed } so far. { $how }
    Digest { $digest }
card-type-name = On: { $target }. Type: `approve { $key } { $name }`
card-type-that-name = On: { $target }. Type: `approve { $key } NAME`, with that name.
card-expired = { $reason } A person can ask again: `reopen { $key }`
how-reaction = ✅ or ❌, or a button.
how-button = By button.
how-typed = By button, then the name that stands behind “On”, typed out.
how-passphrase = With your passphrase: at a terminal, or on a page that you signed in to.
how-passphrase-typed = With your passphrase: at a terminal, or on a page that you signed in to; then the name that stands behind “On”, typed out.
card-words = > "{ $words }" (the agent's words)
card-under-way = ✔ { $title } { $place }: approved by { $by }, under way.
card-done = ✔ { $title } { $place }: { $ended }
card-ended = ✘ { $title } { $place }: { $ended }
card-decide = Decide{ $until }: { $who }. { $given } of { $needed } so far. { $how }
card-digest = Digest { $digest }
unprotected = Unprotected: who may push to the repository can move { $target } without this approval.
card-type-answer = Type: `answer { $key } TEXT`
card-type-choice = Type: `answer { $key } TEXT`, with one of: { $choices }
card-deciding = Deciding: what { $people } said is on its way to { $team }.
ended-under-way = approved by { $by }, under way.
ended-approved = approved by { $by }. { $ended }
ended-expired = { $reason } A person can ask again: reopen { $key }
reason = {" "}Reason: { $why }
ended-denied = { $what } denied by { $person }.{ $why }
word-travels = What you said is on its way to { $instance }, which counts it. The card will say so.
word-missed = What you said before on { $title } ({ $feature }): { $text }
until = {" "}until { $moment }
ended-pushed = Approved by { $by }. Pushed.
ended-called = approved by { $by }, done.
ended-unsure = It can't be told whether it was done: { $reason }
ended-merged = approved by { $by }, merged as { $commit }.
ended-withdrawn = It was withdrawn: { $reason }
ended-lapsed = The approval lapsed: { $reason }
ended-unknown = It can't be told whether it was merged: { $reason } Look at the pull request.
escalation = ⏳ { $who }: half of the time to decide is over. **{ $title }** { $place }: `{ $yes }` or `deny { $key }`
unseen = the card of { $feature } can't be shown: { $title }. { $meanwhile }: { $yes } or deny { $key }
paused = ⚠ { $team }: too much was denied to { $run }. Nothing more is asked for it.
decided-at = {" "}at { $clock }
already = { $feature } was already { $word }{ $at }.
order-refused = { $instance } did not carry out the order { $kind }: { $reason }
alert-over = ✔ { $whose }over after { $minutes } min: { $text }
alert-times = {" "}({ $count } times)
alert = ⚠ { $whose }{ $text }{ $times }
names = { $first } and { $last }
unseen-bot = It does not expire meanwhile
unseen-board = It waits on the team's board, or here
act-merge = Merge
act-push = Push
act-plan = Plan
act-tool = Tool call
act-budget = Budget
act-operation = Operation
act-question = Question
act-policy = Policy change
act-enrolment = Enrolment
was-denied = denied
was-lapsed = lapsed
was-expired = expired
was-withdrawn = withdrawn
was-approved = approved
order-reload = to read the configuration again
order-announcement = with what you told all teams
order-given = that you gave
nobody = nobody
card-answer-is-yes = Its answer is the yes.

## Pull requests and milestones on the forge

page-commands = Say here, in a comment: `/qd feature show { $id }`, `/qd feature guide { $id } TEXT`, `/qd feature review { $id } TEXT`, or `/qd help`.
page-asked = **{ $title }** is asked. { $facts } Decide: { $who }. { $given } of { $needed } so far.
page-decided = { $title }: { $ended }
page-answer = Say here: `/approve { $key }`, or `/deny { $key }` and why.
check-asked = Asks { $who }: { $given } of { $needed } so far
check-granted = Approved by { $by }. It turns green on the tested merge.
check-base-moved = The target branch moved: the merge is tested again.
check-not-merged = It was not merged.
roll-up-title = { $milestone } ({ $project }): how far it is
roll-up-body = How far this milestone is stands in the comment below, which is edited as { $team } goes on. The issue is closed when all of it is merged.
roll-up-blocked =
    { $count ->
        [one] 1 feature stands still:
       *[other] { $count } features stand still:
    }
roll-up-feature = - { $feature }: { $why }
roll-up-risk = - ⚠ { $risk }

need-title = { $from } needs { $team }: { $what }
need-whose = the agent of { $from }, in { $run } of { $feature }
need-opened = **{ $title }** · issue #{ $number } of { $repository }. Its label gives it to the team, once somebody with the right says so.
need-of-itself = It is { $team } itself that asks. File a feature for it.
## Machines of teams

place-fleet = (ordered by { $people })
machine-title-create = Make a machine for { $team }
machine-title-destroy = Destroy the machine of { $team }
machine-head-create = **Machine of { $team }** · ordered by { $person }
machine-head-destroy = **End of the machine of { $team }** · ordered by { $person }
machine-head-unread = **A machine** · ordered by { $person }
machine-plan = { $steps }
    Asks { $people }. Nothing was done.
machine-planned = { $head }
    { $steps }
    Asks { $people }. Nothing happens before.
machine-step = { $head }
    `{ $bars }` { $text }
machine-done = ✔ { $head }
    { $said }
machine-there = { $machine }.
machine-gone = It is gone with its disks, and { $team } is out of the fleet.
machine-line = { $team }: { $standing } ({ $place })
machine-not = ✘ { $head }
    { $why }
machine-refused-create = No machine is made for { $team }: { $why }
machine-refused-destroy = The machine of { $team } stays: { $why }
machine-noted = { $head }. What would happen is looked at now; it will stand in #dev.
machine-asked = Asked { $people }. The card is in #approvals, how far it is stands in #dev.
machine-facts = { $cores } cores, { $memory } MiB, { $disk } of disk. From template { $template }, in { $pool }.
machine-disk-templates = the template's size
machine-no-pool = no pool
machine-facts-gone = It is deleted with its disks and snapshots. No backup is made.
machine-facts-backup = It is deleted with its disks and snapshots, after a last backup to { $storage }.
machine-cluster = On the cluster { $cluster }.
machine-order-again = Its order is over. Order it again: vm create, or vm destroy.
machines-none = No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.
machines-empty = There is no machine of a team.
clusters-none = There is one cluster, and it has no name: leave --cluster out.
cluster-line = { $name }: machines are made there with --cluster { $name }
machines-elsewhere = Machines are the whole fleet's: they are ordered where the whole fleet is commanded.

## Digests, risks, pipelines

merged-since = Merged { $count } { $since }
merged-which = Merged { $count } ({ $features })
digest-head = **{ $team }, { $since }** { $facts }
next = Next: { $features }
merged-by-team = Merged { $total } ({ $each })
week-head = **The fleet, { $since }** { $facts }
and-more-blocked = ; and { $more } more
blocked = Blocked { $count }: { $each }{ $more }
decided-yes = { $count } approved
denied-what = { $title } in { $feature }{ $why }
decided-no = { $count } denied ({ $each })
decisions = Decisions: { $each }
milestones = Milestones: { $each }
risks = Risks: { $each }
milestone = **Milestone** · { $team }: { $progress }
milestone-due = , due { $due }
milestone-forecast = , at this pace { $day }
milestone-progress = { $name }: { $percent } %, { $done } of { $features } merged{ $due }{ $forecast }
branch-red = the default branch of { $repository } is red: { $name } fails
deployment-red = { $repository } can't be deployed to { $name }: it fails
red-in-a-row = {" "}({ $count } commits in a row)
red-on = { $what } on { $commit }{ $row }
pipeline-red = ⚠ { $red }.{ $url }
branch-green = The default branch of { $repository } is green: { $name } passes
deployment-green = { $repository } is deployed to { $name }
pipeline-green = ✔ { $what } with { $commit }. It was red for { $took }.{ $url }
minutes = { $minutes } min
hours = { $hours } h { $minutes } min
days = { $count } days
risk-open-request = { $title } ({ $feature }, { $team }) waits for people since { $hours } h
in-step = {" "}in { $step }
risk-still = { $feature } { $title } has not moved for { $hours } h{ $at }
risk-dear = { $team } has spent { $spent } today, a usual day costs { $usual }
announcement = **{ $by } to all teams**
    { $text }
risk = ⚠ { $team }{ $text }.
and-more = and { $count } more
some-and-more = { $first } and { $more } more
since-clock = since { $clock }
nothing-runs = Nothing runs
merged-nothing = Merged nothing
no-risk = No risk is known: nothing is red, nothing is stuck, nobody keeps anybody waiting.
since-yesterday = since yesterday
standing-running = Running { $count }
standing-asks = Asks { $count }

## Who is heard

team-not-heard = { $team } was not heard yet.
team-heard = { $team } is heard: { $does }.
team-late = { $team } is late: last heard { $at } { $with }.
team-silent = { $team } is silent { $since } (last heard { $with }). Its work is safe on its machine; orders wait.
order-sent = Sent to { $team }.
order-late = { $team } is late: last heard { $at }. The order is kept and goes out when it is heard again.
half-over = ⏳ { $who }: half of the time to decide is over. approve { $key } or deny { $key }
card-above = The card stands above.
act-not-asked = A team does not ask the forge for this: { $act }.
order-asks = { $sent } People have to agree before it is done: { $who }. The card comes in #approvals.
order-waits = { $team } has not done this yet: { $title }. People have to agree first: { $who }. The card is in #approvals: { $key }.
order-ended = What you ordered of { $team }, { $title }: { $ended }
order-told = { $instance }: { $text }
nothing-to-stop = No run works on { $feature }: there is nothing to stop.
nothing-to-take-back = { $feature } is not merged: there is nothing to take back.
plan-goal = An agent proposes features for it. People accept them on the team's page, or with quarterdeck plan; then they are filed.
plan-page = An agent proposes features for it as a page, by pull request. They are filed when that is merged.
no-milestones = No team has reported a milestone.
and-more-milestones = And { $count } more: say of which team.
no-projects = No team has reported a project with milestones.
no-such-project = No team has reported a project { $name }.{ $near } There is { $projects }.
project-line =
    { $count ->
        [one] **{ $name }** · { $teams }: { $done } of { $features } merged in 1 milestone
       *[other] **{ $name }** · { $teams }: { $done } of { $features } merged in { $count } milestones
    }
no-limits-told = { $team } has not said yet how much it does at once.
no-limit = no limit
limits-slots = { $team }: { $taken } of { $most } slots are taken. The configuration has { $configured }.
limits-reviews = In review: { $taken }. Nothing new starts from: { $most }. The configuration has { $configured }.
no-trail = Nothing is known under { $what }: it takes the id of a feature, a run or an approval.
trail-own = The bot's trail of { $what }:
trail-nothing = The bot's trail says nothing of { $what }.
trail-asked = Its team's own trail: { $sent } What { $team } says comes with the next answer that you get.
order-silent = { $team } is silent { $since }. The order is kept and goes out when it is heard again.
order-not-heard = { $team } was not heard yet. The order is kept and goes out when it is.
stood-late = { $team } is late: this is how it stood { $at }.
stood-silent = { $team } is silent { $since }: this is how it stood then.
does-ask = asks { $count }
does-blocked = blocked { $count }
does-ready = ready { $count }
does-paused = paused { $why }
with-runs = with { $runs }
at-clock = at { $clock }
runs =
    { $count ->
        [0] no run
        [one] 1 run
       *[other] { $count } runs
    }

## Pictures

board-alt = The board of { $team }.
charts-alt = { $title }, from { $first } to { $last }.
and-more-cards = and { $count } more
backlog = Backlog { $count }
charts-title = { $team }, the last { $days } days
burn-up-said = { $merged } of { $all } features merged.
cost-unpriced = {" "}{ $tokens } tokens of unknown price beside it.
cost-said = { $all } in all, most on { $day } with { $most }.{ $beside }
cycle-time-said = { $took } from the first run to the merge (median of { $features }).
seconds = { $seconds } s
burn-up-wanted = wanted
burn-up-merged = merged
burn-up-title = Burn-up
cost-title = Cost per day
cycle-time-title = Cycle time
column-backlog = Backlog
column-ready = Ready
column-running = Running
column-review = Review
column-done = Done
column-cancelled = Cancelled
nothing-in-backlog = Nothing is waiting to be released.
nothing-in-ready = Nothing is waiting for a slot.
nothing-in-running = Nobody works.
nothing-in-review = No pull request is open.
nothing-yet = Nothing yet.
count-features =
    { $count ->
        [one] 1 feature
       *[other] { $count } features
    }

## Answers to commands

no-such-feature = No team has reported a feature { $id }.{ $near }
several-features = Several teams have a feature { $id }: give them prefixes of their own.
which-team = Say for which team, with one of { $teams }.
several-approvals = Several approvals fit { $which }. Use the id on the card.
no-such-approval = Nothing is asked under { $which }.{ $near } What waits: `approvals list`
no-question = It is no question. Type: `approve { $key }` or `deny { $key }`
nothing-expired = Nothing has expired under { $which }.
subject-unwritable = What it binds can't be written down: { $error }.
nothing-asked = Nothing waits for people.
no-team = There is no team.
no-runs = No runs yet.
told-to =
    { $count ->
        [one] Told to one team.
       *[other] Told to { $count } teams.
    }

standup-usual = { $team }: at { $hour } { $zone }, as the configuration says.
standup-at = { $team }: at { $hour }{ $zone }.
standup-never = { $team }: never, as the configuration says.
standup-off = { $team }: never. standup now says it at once.
standup-no-zone = There is no time zone { $zone } here. Say one like Europe/Berlin, or leave it out for the fleet's.

## Accounts

link-no-github = GitHub is not configured here, so there is nothing to link.
link-no-discord = Discord is not configured here, so there is nothing to link.
link-code-github = Write this as a comment on an issue or pull request of the fleet, with the account that is yours: /qd link { $code }
    It works once, for 15 minutes. Show it to nobody.
link-code-discord = Type this on Discord, with the account that is yours: /link code { $code }
    It works once, for 15 minutes. Show it to nobody.
link-not-here = A code is for you alone, and everybody reads this. Ask for it in chat or at a terminal.
link-no-code = That code is not known for { $service }, was used, or is older than 15 minutes. Get another one where you are known: link { $service }
link-anothers = This account is linked to you already, and the code is another person's.
link-elsewhere = A code is said with the account that is to be linked: on GitHub /qd link CODE, on Discord /link code CODE.
link-done = { $account } is linked to { $person }. From now on you are known with it.
link-failed = { $account } was not linked: { $why }

## Answers to questions

and-more-features = And { $more } more.
no-such-team-but = There is no team { $team }.{ $near } There is { $teams }.
ask-head = **{ $by } asks { $team }:** { $question }
ask-sent = { $sent } The answer comes in #{ $channel }.
ask-stands = { $sentence } ({ $feature })
ask-unknown = { $team } does not know: { $why }
ask-cites = It names: { $cites }.
ask-cites-nothing = ⚠ It names nothing that there is: nothing shows that it is so.
search-nothing = No agent answers questions here, and a search of what { $team } has reported finds nothing.
search-found = No agent answers questions here. A search of what { $team } has reported finds:
    { $found }
you-are = You are { $person }{ $account }: { $roles }. { $count } of what is asked may be decided by you.
they-are = { $person }: { $roles }. { $count } of what is asked may be decided by them.
people-not-yours = Who { $person } is, only people who may see the fleet are told. { $why }
people-elsewhere = People are the whole fleet's: they are shown where the whole fleet is commanded.
accounts = Linked accounts: { $accounts }.
accounts-none = No account is linked.
approval-choice = { $feature } { $title } · { $team }
policy-explain = { $action } is done to something of its own. Have it explained with: quarterdeck policy explain { $action }
you-may = You may: { $what }.
nothing-reported = nothing reported yet
count-running = running { $count }
count-merged = merged { $count }
teams-besides = And { $more } more: { $teams }
teams-one = One of them: `fleet status TEAM`
nothing-metered = nothing metered
no-role = no role
no-such-words = No feature's title has these words.
nothing-happened = Nothing happened since the last stand-up.

## Approvals that instances keep

not-its-own = { $instance } shows the approval { $id }, which is not its own.
unbound-card = The card of { $id } does not say what its digest binds. Nobody is asked here.
nobody-called = Nobody here is called { $person }.{ $near }
a-question = It is a question. Type: `answer { $key } TEXT`
not-proved = It is not proved that this is you. Sign in, or give your passphrase.

## Approvals that the bot keeps

push-expired = Nobody decided in time on what this run asked for, and the attempt is over. A person can ask again: reopen { $key }
asked-again = It is asked again, as { $key }.
vote-noted = Noted: { $given } of { $needed }.
check-red = Check { $check } is red on the tested merge.
vote-known = That vote was noted before.
nobody-decided = Nobody decided yet.
change-is-another = The change is another one now.
run-ended = Its run has ended.
epoch-began = Since it was given, the bot or the team was restored from a backup: it may be used up.
vote-approved = Approved.
vote-denied = Denied.
older-asked-anew = It was kept by an older version, which bound less than is bound now. It is asked anew.
older-lapsed = The approval lapsed: it was kept by an older version, which bound less than is bound now.
older-unknown = It can't be told whether it was done: it was kept by an older version, which bound less than is bound now. Look at the pull request.
trails-apart = The audit trails of the bot and { $team } do not fit: { $refused }
not-stored = That could not be stored, so nothing happened. Try again.
approval-gone = There is no such approval any more. Start the run again, and people are asked anew.
approval-of-another = That approval is another team's.
approval-used-up = That approval is used up: what it was for has been done.
not-known-there = It is not known there any more.

# What people say to a run.
taken-as-guidance = Taken as guidance for { $feature }.
taken-as-review = Taken as a review comment on { $feature }.
review-comment = Review by { $person }:
    { $words }
nobody-works = No run works on { $feature }, so nobody was told. Say it in its description, by an edit.
nothing-to-review = { $feature } has no pull request yet, so there is nothing to review. Say it as guidance.

# What a reader should know about a text from elsewhere.
careful = Careful: { $warning }

## What people do at a forge

outside-answer = **{ $account }**: { $text }
outside-stranger = I don't know who { $account } is here. If you are known in chat, ask there for a code with: link github. Then write it here: /qd link CODE. Else an owner links the account with: quarterdeck person link NAME { $account }
outside-one-command = One comment, one command: there were more in this one, so nothing was done.
issue-linked = **{ $feature }** of { $team }: { $stage }
issue-backlog = in the backlog. Whoever may release it writes: /qd feature move { $feature } ready
issue-ready = ready, and waits for its turn.
issue-running = an agent works on it.
issue-review = in review, as pull request #{ $number }.
issue-merged = merged as { $commit }.
issue-done = done.
issue-cancelled = cancelled.
issue-given = { $team } has it, as this issue stands now.
issue-taken = It is { $team }'s already. Take the label { $label } away first.
issue-let-go = { $feature } stays on the board of { $team }, and follows this issue no more. To give it up: /qd feature cancel { $feature }
issue-of-nobody = No team has this issue. Give it to one with the label { $label }NAME.
issue-moved-on = The issue says something else than what its team was given. Set the label { $label } again first, or write /qd take, so that this is what holds.
issue-proposal = You may not edit { $feature }, so what this issue says now is a proposal. Whoever may takes it by setting the label { $label } again, or by writing: /qd take
review-of-another = You looked at { $reviewed }, and what is asked about is { $asked }: that yes does not count. Look at the newest commit.
check-flaky = ⚠ Check { $check } is flaky: red and then green on { $commit } of { $feature }.
repository-renamed = { $repository } is called { $to } at the forge now. Work goes on; write the new name into the configuration.
repository-transferred = { $repository } belongs to another owner at the forge now, as { $to }. Install the App there, and write the new name into the configuration.
repository-deleted = { $repository } was deleted at the forge. Nothing of its work can be pushed or merged.
repository-lost = { $repository } can't be reached at the forge: { $why }
thread-done = Done with { $commit }.

# Buttons
button-approve = Approve
button-deny = Deny
button-answer = Answer
button-details = Details

# Discord: what people read there
discord-make = Make a feature
discord-group = Everything about { $group }
discord-form = A new feature
discord-form-title = What is wanted, in one line
discord-form-description = What is wanted, in full
discord-form-team = Team, where there are several
discord-form-ready = Release it at once? yes or no
discord-yes = yes
discord-done = Done.
discord-for-good = This takes the name, typed out
discord-answer = Your answer
discord-answer-words = In your own words
discord-type-name = Type the name to approve
discord-name-on-card = The name after On: on the card
discord-nothing-typed = Nothing was typed, so nothing was done.
discord-details = The whole of it, for you alone. The SHA-256 of this file is the digest on the card.
discord-too-late = Too late for Discord, so you were not told before: { $text }
discord-reaction = Your { $mark } a while ago: { $text }
discord-unsure = Discord did not say which roles you hold, so nothing was done. Try again.
discord-stranger = I don't know who you are here. If you are known at a terminal or on GitHub, say there: link discord. You get a code; type it here with `/link code`. Else an owner links your account with: quarterdeck person link NAME discord:{ $user }
discord-hasty = That is more than { $most } in a minute, so nothing was done. Wait a little.
discord-more-lines =
    { $count ->
        [one] and 1 line more
       *[other] and { $count } lines more
    }
discord-thread = A feature
discord-make-review = Make it a review comment
discord-make-guidance = Make it guidance
discord-taken-answer = Taken as an answer. { $heard }
discord-unread = I am told what a reply says only if it mentions me: leave the @ of the reply on, or type /answer.
discord-no-words = There are no words in it, so nothing was taken.
discord-not-yours = Only whoever wrote it says as what it is taken.
discord-words-untold = Discord does not say what was written there, so nothing was changed. Try again.
discord-files-too-many = Left out: { $more } more. At most { $may } files go along.
discord-file = a file
discord-file-attached = Attached, { $name }:
discord-file-link = Attached: { $name } ({ $kind }, { $size } KiB): { $url }
discord-file-whole = { $name } went along in full.
discord-file-linked = { $name } went along as a link.
discord-file-no-room = { $name } did not go along: there is no room for it.
discord-setup = Quarterdeck's setup
discord-asks = Reply to this message to answer it, and leave the @ of the reply on.
discord-asks-choice = Press what you choose, or reply to this message and leave the @ of the reply on.
discord-chose = { $person } chose: **{ $choice }**
discord-noted-choice = Noted: { $choice }
discord-not-noted = Your choice was not noted: { $problem }. Try again.
discord-no-choice = There is no such choice any more, so nothing was noted.
discord-several-channels = several channels are called { $name }; rename one, or name another one
discord-needs-view = to see the channel at all
discord-needs-send = to post cards and messages
discord-needs-embed = because every message is an embed
discord-needs-attach = for pictures and details
discord-needs-history = to find its messages again after a restart
discord-needs-react = to seed ✅ and ❌
discord-needs-threads = to hang a thread on each feature
discord-needs-answer = to answer in them

# Discord: what went wrong there, on the local page, in the doctor's words and in the log
discord-no-message = the message is gone
discord-no-channel = the channel is deleted; name another one in [discord.channels]
discord-no-such-channel = there is no such channel; take dev, alerts, approvals, fallback if there is one, or an id
discord-no-fallback = no fallback channel is set up
discord-no-receipt = { $receipt } is no message of it
discord-no-card = the card is gone
discord-has-thread = it has a thread already
discord-no-interaction = it was answered too late
discord-outage = ⚠ Not everything is shown or heard on Discord. What stands here is complete.
discord-outage-since = Since { $since }: { $problem }.
discord-outage-over = ✔ Everything is shown and heard on Discord again.
discord-unheard = nobody is heard there: { $problem }
discord-absent = the bot is not in the guild; quarterdeck bot discord setup prints the link that invites it
discord-left-alone = Discord refused too much of late; it is left alone for a while
discord-not-understood = Discord's answer was not understood: { $error }
discord-unreachable = Discord can't be reached
discord-may-not-see = the bot may not see the channel; give it View Channel there
discord-lacks-permission = the bot lacks a permission there; quarterdeck doctor names each that is missing
discord-may-not-read = the application may not read messages: switch on its Message Content Intent at https://discord.com/developers/applications, or write discord.threads = "mentions"
discord-token = Discord does not know the bot's token; make a new one
discord-answers = Discord answers { $status }
discord-refused = Discord refused it ({ $status }): { $words }

## Commands: what help and a chat show of them

command-approve = Say yes to what is asked
command-deny = Say no
command-answer = Answer a question
command-reopen = Ask again for what nobody decided in time
command-approvals-list = What waits for people
command-approvals-show = The card of an approval: what is asked, and how it stands
command-approvals-subject = An approval in full, as a file: the exact text whose hash is the digest on its card
command-board-show = What the teams are doing
command-board-why = Why a feature does not go on
command-board-search = Features whose titles have these words
command-feature-add = File a feature; without a title a form asks for it
command-feature-show = What is true of a feature
command-feature-move = Move a feature
command-feature-cancel = Give a feature up
command-feature-retry = Have a feature tried again
command-feature-edit = Change a field of a feature
command-feature-stop = Stop the run that works on a feature; its work is kept
command-feature-revert = Have a merged feature taken back
command-feature-guide = Tell a feature's agent something
command-feature-review = Say what has to change in a feature's pull request
command-fleet-status = Which teams are heard, and what they do
command-fleet-teams = The teams, a line each
command-fleet-cost = What models have cost
command-fleet-risks = What endangers the work
command-fleet-week = What happened this week
command-fleet-pause = Let nothing start in any team
command-fleet-resume = Let all teams go on
command-fleet-reload = Have all teams read their configuration again
command-team-pause = Let nothing start in a team
command-team-resume = Let a team go on
command-team-reload = Have a team read its configuration again
command-team-limits = How much a team does at once, or less of it
command-team-release = Release what waits in a team's backlog
command-milestone = How far the milestones are
command-project = Goals above features, and how they stand
command-plan = Have features proposed for a goal
command-ask = Ask a team something
command-standup-now = What happened since the last stand-up
command-standup-schedule = When stand-ups come, or another hour for a team's
command-vm-list = Machines of teams, and how far each is
command-vm-plan = What a team's machine would take, and who decides
command-vm-create = Make a machine for a team, once people agreed
command-vm-destroy = Take a team's machine away, once people agreed
command-vm-clusters = Clusters that machines are made in, a line each
command-link-github = A code that links your GitHub account
command-link-discord = A code that links your Discord account
command-link-code = Link this account, by the code that you got elsewhere
command-announce = Tell all teams something
command-person = Who somebody is here: roles, accounts, and what they may decide
command-policy-explain = Whether you may do something, and why
command-audit-show = What led to something, from the trails of bot and team
command-help = All commands, or one with its options
option-approval = The id on the card, or a feature like A-142
option-subject = The id on the card, or a feature like A-142
option-question = The id on the question's card, or a feature like A-142
option-expired = The id on the card that nobody decided in time
option-feature = A feature like A-142
option-why = Your reason: others read it
option-team = Which team
option-whose = Whose machine
option-cluster = One of several clusters, by its name
option-template = Number of the template
option-pool = Its pool
option-cores = Cores, 2 if left out
option-memory = Memory in MiB, 4096 if left out
option-disk = Size of its disk in GiB, the template's if left out
option-storage = Where a full clone's disks lie; left out, it lives on the template's
option-typed = What it is done to, where a card asks for that
option-answer = Your answer
option-words = What to look for
option-title = What is wanted, in one line
option-ready = Release it at once
option-stage = Where it moves to
option-field = Which field of the feature changes
option-limit = Which limit: runs at once, or features in review
option-value = How it is from now on; none empties it
option-guidance = What its agent is to be told
option-review = What has to change
option-asked = What you want to know
option-announced = What all teams are to be told
option-person = Whose name, as in the list of people; you, if left out
option-command = Which command
option-most = At most how many; default takes what the configuration says
option-count = How many features; all, if left out
option-project = Which project
option-goal = What is to be reached
option-page = Propose them as a page, by pull request
option-hour = 09:30, or off, or default
option-zone = A time zone, like Europe/Berlin
option-days = Like mon-fri or mon,wed
option-backup = Keep a last backup on this storage
option-code = As it was shown
option-action = Like merge or feature.add
option-traced = Id of a feature, a run or an approval

## Commands: what is wrong with one

help-group = `/{ $word }` { $says }
help-more = One of them with its options: `/help command:feature`
help-command = **/{ $path }** { $says }
help-option = {"  "}{ $name }: { $says }{ $choices }
person-takes = person takes one name. What does { $more } mean?
say-what = Say what you want. Type help for all commands.
approvals-takes = I don't know "approvals { $rest }". There are approvals and approvals show ID.
answer-needs = answer { $which } needs your answer after it.
announce-needs = announce needs what all teams are to be told: announce TEXT
standup-takes = I don't know "standup { $rest }". There is standup now, standup now TEAM, and standup schedule TEAM 09:30.
explain-needs = policy explain needs an action, like merge or feature.add.
policy-takes = policy needs a verb: policy explain ACTION [TEAM].
milestone-takes = milestone takes one team. What does { $more } mean?
audit-needs = audit show needs an id: of a feature, a run or an approval.
audit-takes = audit show takes one id, not { $what }.
audit-verb = audit needs a verb: audit show ID.
unknown-word = I don't know { $word }.{ $near } Type help for all commands.
link-needs = link needs a service, or a code: link { $services }.
link-code-needs = link code needs the code, as it was shown: link code ABCDE-FGHIJ
link-takes = link takes one word. What does { $more } mean?
did-you-mean = {" "}Did you mean { $word }?
takes-one-id = { $verb } takes one id. What does { $more } after { $which } mean?
needs-id = { $verb } needs an id: the one on the card, or a feature like A-142.
no-id = { $text } is neither a feature like A-142 nor at least { $least } characters of an approval's id.
why-needs = board why needs a feature, like A-142.
search-needs = board search needs words to look for.
ask-needs = ask needs a team and a question: ask alpha Why is A-142 blocked?
plan-needs = plan needs a goal, in a line: plan Offline mode
no-action = There is no action { $action }.{ $near }
needs-verb = { $word } needs a verb: { $verbs }.
unknown-below = I don't know "{ $word } { $other }".{ $near }
unknown-flag = { $of } does not know { $flag }.{ $near }
guide-needs = feature guide { $id } needs what its agent is to be told.
review-needs = feature review { $id } needs what has to change.
move-takes = feature move { $id } takes backlog or ready, not { $stage }.
edit-takes = feature edit { $id } takes one of { $fields }, and how it is from now on.{ $near }
edit-needs = feature edit { $id } { $field } needs how it is from now on; none empties it.
field-takes = { $field } takes { $wants }, not { $value }.
wants-priority = a number from 0, the most urgent, to 4
wants-size = xs, s, m, l, xl or none
wants-title = a line of words
add-needs = feature add needs a title: feature add Split the importer from the API
needs-feature = feature { $verb } needs a feature, like A-142.
team-or-fleet = team { $verb } needs a team. For all of them: fleet { $verb }
needs-team = team { $verb } needs a team: team { $verb } alpha
release-takes = team release { $team } takes a number of features, not { $more }.
unknown-limit = A team has no limit { $word }.{ $near } There is slots and reviews.
limit-takes = team limits { $team } { $limit } takes a number from 1 on, or default, not { $most }. To let nothing start: team pause { $team }
vm-takes-team = vm { $verb } takes one team. What does { $word } mean?
vm-needs-value = { $flag } needs a value: vm { $verb } TEAM { $flag } …
vm-needs-team = vm { $verb } needs a team: vm { $verb } beta --template 9000 --cores 4
vm-number = { $flag } takes a number, not { $text }.
vm-cluster = { $flag } takes a name of small letters and digits, not { $cluster }. Which there are: vm clusters
vm-destroy-takes = vm destroy takes a team, { $cluster } NAME and { $backup } STORAGE. What does { $text } mean?
vm-destroy-needs = vm destroy needs a team: vm destroy beta --backup-to nas
no-time = { $clock } is no time of a day. Say 09:30, off or default.
no-hour = I don't understand { $word } of a stand-up's hour. Say it like 09:30 Europe/Berlin mon-fri.
