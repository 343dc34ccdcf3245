/* corpora/tales_plots.c: what happens in the tales (see tales_words.h for the notation). */
#include "corpora/tales_words.h"

#define START \
    "[[Once upon a time|Once|Long ago], there was {a trait} {kind} named {hero}.|" \
    "There was once {a trait} {kind} [named|called] {hero}.|" \
    "{hero} was {a trait} {kind} who lived [near|not far from] the {place}.]"
#define DAY "\n[One day|One morning|One afternoon|One sunny day|One fine day], "
#define SAD "[sad|upset|unhappy]"
#define HAPPY "[happy|glad|full of joy]"
#define FRIENDS \
    "[The two friends|{hero} and {friend}] [smiled and went home|laughed all the way home|" \
    "played together until the sun went down|sat side by side and watched the clouds].|"

static const char *const lost[] = {
    START,
    "{He} had {a colour} {toy} that {he} loved [very much|more than anything].|The thing {he} "
    "loved most was {his} {colour} {toy}.",
    DAY "{hero} [wanted to play|woke up and wanted to play], but the {toy} was [gone|not there].",
    "{He} looked {inside}. [It was not there|Nothing]. {He} looked {inside2}. It was not there "
    "either.",
    "{hero} [was worried|felt very " SAD
    "].|\"Oh no!\" [said {hero}|{hero} cried]. \"[Where can it be|Who took it|Where is my "
    "{toy}]?\"",
    "\n{His} friend {friend} [heard {him} and came in|came to visit]. \"[What is wrong|Why are you "
    "so sad], {hero}?\" {fhe} asked.",
    "\"I lost my {colour} {toy},\" said {hero}. \"[Do not worry|Do not cry],\" said {friend}. "
    "\"[We will find it together|Let us look for it outside].\"",
    "\nThey went to the {place}. They looked {outside} and {outside2}. [Then {friend} pointed. "
    "\"Look over there!\" {fhe} said|All at once {friend} began to smile. \"I see it!\" {fhe} "
    "cried].",
    "The {toy} was {outside3}. [It was a little wet, but it was not broken|It was just where "
    "{hero} had left it the day before].",
    "\n\"Thank you, {friend}!\" said {hero}. {He} was so " HAPPY " that {he} [hugged {his} "
    "friend|jumped up and down|danced in a circle].",
    "[From then on|After that day], {hero} always put {his} {toy} [back in its place|away before "
    "bed].|" FRIENDS,
    0,
};

static const char *const new_friend[] = {
    START,
    "{He} had [many toys|a big house|a nice garden], but {he} had no one to play with.|{hero} had "
    "just moved to a new home, and {he} did not know anyone there.",
    DAY "{hero} took {his} {colour} {toy} and went to the {place2}.",
    "{A trait2} {fkind} was sitting {sit}. [{Fhe} looked lonely too|{Fhe} did not say a word|{Fhe} "
    "was all alone].",
    "{hero} [was shy|did not know what to say]. {He} took a deep breath and [said hello|walked up "
    "to {fhim}].",
    "\n\"Hello, I am {hero}. [What is your name|Who are you]?\" {he} asked. \"My name is "
    "{friend},\" said the {fkind}. \"[Would you like|Do you want] to play?\"",
    "They played with the {toy} [until they were tired|all afternoon|for a long time].",
    "Then {hero} felt hungry. {He} had {a snack} in {his} bag, but {friend} had nothing to eat.",
    "\n\"[Here|Look], you can have half of my {snack},\" said {hero}. {friend} [smiled a big "
    "smile|was very happy]. \"Thank you! [That is so kind|You are nice],\" {fhe} said.",
    "\nWhen it was time to go home, {friend} asked, \"Will you come back tomorrow?\" \"[Yes|Of "
    "course], I will,\" said {hero}.",
    "[That night|In the evening], {hero} told {his} {parent} [about {his} new friend|everything]. "
    "{He} was not alone any more.|And {he} did. [They met {at2} every day|Soon they were the best "
    "of friends].",
    0,
};

static const char *const stuck[] = {
    START,
    "{He} had a new {stuck}. [It was {colour} and {colour2}|It was a gift from {his} {parent}].",
    DAY "{hero} and {his} friend {friend} went to play with it {at}. [It was a lot of fun|They ran "
        "and laughed].",
    "[Then|But then|Suddenly] {how}.",
    "\n\"Oh no! [My {stuck} is stuck!|How will we get it down?]\" [said|cried] {hero}. {He} jumped "
    "as high as {he} could, but the {up} was too high.",
    "{friend} [threw a small stick at it|shook a long stick at it], but it did not move.",
    "\n[Just then|After a while] {elder} came by. \"[What are you two looking at|Why do you look "
    "so sad]?\" asked {elder}.",
    "\"My {stuck} is stuck up there,\" said {hero}, and {he} pointed at the {up}. \"[Wait here|I "
    "can help],\" said {elder}.",
    "Soon {elder} came back with a long ladder. {friend} held the ladder [with both {hands}|very "
    "still], and {elder} climbed up and took the {stuck} down.",
    "\n\"Thank you [so much|very much]!\" said {hero}. {He} gave {elder} {a snack} to say thank "
    "you.",
    "[After that, they played where there was a lot of room|\"Next time we will play in the open "
    "field,\" said {friend}, and {hero} agreed].",
    FRIENDS,
    0,
};

static const char *const picnic[] = {
    "{hero} and {friend} were [good|best] friends. [They liked to eat outside|They did everything "
    "together].|" START " {His} best friend was {a trait2} {fkind} named {friend}.",
    DAY
    "they planned a picnic {at}. {hero} packed some {fruit}, and {friend} brought {a snack} for "
    "each of them.",
    "They put {a colour} blanket on the grass and sat down. [The sky was blue and the birds were "
    "singing|\"What a lovely day,\" said {friend}].",
    "\n[But soon|Then] a big gray cloud came over the {place}. [Drip, drop|Plip, plop]! It began "
    "to rain.",
    "\"Our picnic!\" cried {friend}. \"[Everything is getting wet|The food will get wet]!\"",
    "\n\"[Quick|Hurry]!\" said {hero}. \"Take the blanket. I will take the basket.\" They ran [as "
    "fast as they could|through the rain] to {hero}'s house.",
    "They were wet and " SAD
    ". [{friend} looked out of the window. The rain did not stop|\"Now our day is spoiled,\" said "
    "{friend}].",
    "\nThen {hero} had an idea. {He} put the blanket on the floor [next to the fire|in the middle "
    "of the room]. \"[Now we can have our picnic inside!|Who says that a picnic must be "
    "outside?]\" {he} said.",
    "{friend} [began to laugh|clapped {fhis} {hands}]. They ate all the {fruit}, and they listened "
    "to the rain on the roof.",
    "[It was the best picnic they had ever had|\"This is better than the {place},\" said "
    "{friend}]. |When the rain stopped, they [saw a rainbow over the {place}|ran out and jumped in "
    "the puddles].",
    0,
};

static const char *const cook[] = {
    START,
    "{He} liked to help {his} {parent} in the kitchen.|{hero} loved [to eat good food|to cook].",
    DAY
    "{hero} wanted to make a {meal} for {his} {parent}. [It was going to be a surprise|{He} had "
    "never cooked alone].",
    "{He} took a big bowl and a spoon. Then {he} opened the cupboard. {He} looked for the "
    "{missing}, but {he} could not find any!",
    "\n\"I cannot make a {meal} without {missing},\" said {hero}. {He} [sat down and thought|was "
    "" SAD "].",
    "{He} went next door and knocked. {friend} opened the door. \"[Hello|Good day], {hero}! What "
    "do you need?\" {fhe} asked.",
    "\n\"I need some {missing} for my {meal},\" said {hero}. \"We have [plenty|enough],\" said "
    "{friend}. \"[May I help you|Can I cook with you]?\" \"[Yes, please|That would be fun],\" said "
    "{hero}.",
    "So they cooked together. {friend} [stirred|washed the spoons], and {hero} [tasted a "
    "little|read the cook book]. [Soon the whole house smelled good|They made a mess, but they "
    "cleaned it up].",
    "\nWhen {his} {parent} came home, the {meal} was on the table. \"[What a nice surprise!|Did "
    "you make this?]\" said {his} {parent}.",
    "\"{friend} helped me,\" said {hero}. They all sat down and ate [together|until the {meal} was "
    "gone].",
    "[It was the best {meal} in the whole village|Nothing tastes better than food you make with a "
    "friend].",
    0,
};

static const char *const share[] = {
    "{hero} and {friend} lived next door to each other. [They played together every day|They were "
    "good friends].|" START " {He} liked to play with {his} friend {friend}.",
    DAY "they found {a colour} {toy} {outside} {at}.",
    "\"[It is mine|I saw it first]!\" said {hero}. \"No, [it is mine|I saw it first]!\" said "
    "{friend}.",
    "{hero} pulled on one side, and {friend} pulled on the other side. [They pulled and "
    "pulled|They both got very angry].",
    "\n\"[You are not my friend any more|Then I do not want to play with you],\" said {friend}, "
    "and {fhe} [ran home|walked away].",
    "Now {hero} had the {toy}. But [it was no fun to play alone|the game was not fun without "
    "{friend}]. {He} felt " SAD ".",
    "\n{His} {parent} sat down beside {him}. \"[What would make you happy again|What can you do "
    "about it]?\" asked {his} {parent}. {hero} [thought for a while|knew the answer].",
    "{He} went to {friend}'s house and knocked on the door. \"I am sorry,\" {he} said. \"We can "
    "[share it|take turns]. [You can go first|You can have it today].\"",
    "\n{friend} smiled. \"I am sorry too,\" {fhe} said. \"[Let us play together|Come in and play "
    "with me].\"",
    "They took turns with the {colour} {toy} [all day long|until dinner]. [It was much more fun "
    "that way|Nobody was angry any more].",
    "[A toy is good, but a friend is better.|Then they gave each other a hug.|]",
    0,
};

static const char *const night[] = {
    START,
    "{He} was not afraid of [dogs|rain|spiders] or [high trees|deep water], but {he} was afraid of "
    "the dark.",
    "\nOne night, {hero} was lying in {his} bed. [The house was quiet|The moon was behind the "
    "clouds]. Then {he} heard a noise. \"[What was that|Who is there]?\" {he} whispered.",
    "It went {noise}. {hero} pulled the {colour} blanket over {his} head. It went {noise} again.",
    "\n\"{Parent}!\" {hero} called. \"[There is a monster|Something is there]!\" {His} {parent} "
    "came with a small lamp and sat down on the bed.",
    "\"[Let us look together|We will find out what it is],\" said {his} {parent}. \"I will hold "
    "your hand.\"|\"Monsters do not live in our house,\" said {his} {parent}. \"Come, let us "
    "look.\"",
    "\nThey looked {inside}. Nothing was there. They looked {inside2}. Nothing was there.",
    "Then they [went to the window|opened the door] and saw what it was. It was only {cause}!",
    "\n{hero} began to laugh. \"[I was afraid of that|It is not a monster at all]!\" {he} said.",
    "\"Many things sound big in the dark,\" said {his} {parent}. \"[When you look at them, they "
    "become small|That is why we go and look].\"",
    "{hero} went back to bed. [Soon {he} was fast asleep|It went {noise} again, but now {he} only "
    "smiled and closed {his} eyes].",
    0,
};

static const char *const rescue[] = {
    START,
    DAY "{hero} was walking {at} when {he} heard a soft cry. [{He} stopped and listened|\"Who is "
        "crying?\" {he} said].",
    "{He} looked {outside}. There was a {baby}! [It was cold and afraid|It was very small|It could "
    "not find its way home].",
    "\n\"[Poor little thing|Do not be afraid],\" said {hero}. \"[Where is your mother?|I will help "
    "you.]\"",
    "{He} put {his} {colour} scarf around the {baby} and [ran to|went to find] {his} friend "
    "{friend}.",
    "\"[We must find its mother|It wants to go home],\" said {friend}. \"[Let us look|I will help "
    "you look].\"",
    "\nThey asked {elder}. \"I saw a {mother} {nest},\" said {elder}. \"[She looked very "
    "worried|She called and called].\"",
    "So {hero} and {friend} went there, and {hero} carried the {baby} in {his} {hands}. [It was a "
    "long walk|They walked slowly and did not make a sound].",
    "\nThe {mother} was waiting {nest}. When she saw her little one, she [called out with joy|ran "
    "around and around].",
    "{hero} put the {baby} down. It went to its mother and [closed its eyes|hid under her].",
    "\"[Now it is safe|They are together again],\" said {friend}. {hero} was " HAPPY ".",
    "[Every day after that, they came back to say hello|{He} missed the {baby} a little, but {he} "
    "knew that it was home].",
    0,
};

static const char *const learn[] = {
    START,
    "{hero} wanted to {skill}. All of {his} friends could do it, but {hero} could not.|More than "
    "anything, {he} wanted to {skill}.",
    DAY "{he} tried it {spot}, but {fail}. {He} tried again, but it [was no better|did not work].",
    "\n\"I will never learn to {skill}!\" said {hero}. {He} [sat down {sit}|kicked a stone] and "
    "was " SAD ".",
    "{His} friend {friend} [saw {him} and came over|sat down next to {him}]. \"[It was hard for me "
    "too|I could not do it at first],\" {fhe} said.",
    "\"[Really|Is that true]?\" asked {hero}. \"[Yes|Of course],\" said {friend}. \"[I tried for "
    "many days|I tried a hundred times]. {Tip}.\"",
    "\nSo {hero} tried once more. [It was a little better|It nearly worked]. {He} tried again and "
    "again [until the sun went down|all week].",
    "\n[The next day|A few days later], {hero} did what {friend} had said. [And then it "
    "happened|All at once it was easy]. {He} could {skill}!",
    "\"[Look at me|I can do it]!\" {he} shouted. \"[I knew that you could|You did it],\" said "
    "{friend}, and {fhe} clapped {fhis} {hands}.",
    "{His} {parent} was [very proud|so proud] of {him}.|[Now {skilling} was {his} favorite thing "
    "in the world|After that, {he} wanted to do it every day].",
    0,
};

static const char *const plant[] = {
    START,
    DAY "{his} {parent} gave {him} a tiny seed. \"[What is it for|What is this]?\" asked {hero}. "
        "\"[Put it in the ground and wait|Plant it and you will see],\" said {his} {parent}.",
    "{hero} dug a small hole [in the garden|near the gate|behind the house]. {He} put the seed in "
    "it and gave it some water.",
    "\nThe next day, {he} ran out to look. [There was nothing|Nothing had changed]. {He} watered "
    "it again. The day after that, there was still nothing.",
    "\"It does not work,\" {hero} said to {his} friend {friend}. \"[My seed is broken|It will "
    "never grow].\"",
    "\n\"Seeds are slow,\" said {friend}. \"[They sleep first, and then they wake up|You must be "
    "patient. Let us water it together].\"",
    "So they came every day. They gave it water when it was dry, and they sang to it when it was "
    "[cold|dark].",
    "\nAt last, there was a small green leaf. {hero} [shouted with joy|could not believe it]. "
    "\"[It is awake|Look, look]!\" {he} cried.",
    "The leaf became two leaves, and the two leaves became a lovely {plant}. [It was the finest "
    "{plant} in the village|Everyone came to look at it].",
    "\"[You were right|Thank you for waiting with me],\" {hero} said to {friend}. \"[Good things "
    "need time|It was worth the wait].\"",
    "[In the autumn, they shared the new seeds, and each of them took half.|]",
    0,
};

static const char *const broken[] = {
    START,
    "{His} {parent} had {a colour} {dish}. [It was very old and very pretty|No one was allowed to "
    "touch it].",
    DAY "{hero} was playing with {his} {toy} in the house. [{He} ran around the table|{He} did not "
        "look where {he} was going]. Crash! The {dish} fell down and broke.",
    "\n{hero} was [scared|very scared]. {He} picked up the pieces and hid them {inside}.",
    "[At dinner|That evening], {he} could not eat. {His} tummy hurt. \"[What is the matter|Are you "
    "sick], {hero}?\" asked {his} {parent}.",
    "\"[Nothing|It is nothing],\" said {hero}. But {he} [felt worse and worse|could not sleep that "
    "night].",
    "\nThe next morning, {he} told {his} friend {friend} about it. \"You should tell the truth,\" "
    "{fhe} said. \"[It is hard, but it helps|You will feel better].\"",
    "So {hero} took the pieces and went to {his} {parent}. \"I broke your {dish},\" {he} said. \"I "
    "hid it because I was afraid. I am sorry.\"",
    "\n{His} {parent} [was quiet for a moment|looked at the pieces]. \"[I liked that {dish}|I am "
    "sad about the {dish}],\" said {his} {parent}. \"But I am glad that you told me the truth.\"",
    "Then they got some glue and mended the {dish} together. [You could still see the lines|It was "
    "not as pretty as before], but {hero} [liked it even more|felt light and happy again].",
    "[After that, {he} played with the {toy} outside.|{He} never hid a thing like that again.]",
    0,
};

static const char *const birthday[] = {
    START,
    "Soon it was the birthday of {his} best friend, {friend}. {hero} wanted to give {fhim} "
    "something special.",
    DAY
    "{hero} went to the shop. There was a lovely {colour} {toy} in the window. [But it cost too "
    "much|But {he} had only one small coin].",
    "\n{hero} walked home slowly. {He} was " SAD
    ". \"I have no money for a present,\" {he} said to {his} {parent}.",
    "\"[The best presents do not come from a shop|You have two good {hands}],\" said {his} "
    "{parent}. \"[Why do you not make something|What could you make]?\"",
    "\n{hero} thought about it. Then {he} got some [paper and glue|wood and string] and went to "
    "work. {He} worked [all day|until it was dark].",
    "{He} made a {gift}. [It was not perfect, but it was pretty|{He} put it in {a colour2} box].",
    "\nAt the party, {friend} got many big presents. {hero} gave {fhim} the box and [looked at the "
    "floor|waited]. {friend} opened it.",
    "\"A {gift}!\" cried {friend}. \"Did you make it for me? [I love it|It is beautiful]!\"",
    "[{Fhe} put it next to {fhis} bed|{Fhe} showed it to everyone], and {hero} was " HAPPY ".",
    "Then they all ate cake and played games [until night|in the garden].",
    0,
};

static const char *const treasure[] = {
    "{hero} and {his} friend {friend} liked to [look for treasure|explore].|" START " {He} always "
    "wanted to find a treasure.",
    DAY "{hero} was digging {at}. {He} found something hard. It was an old key!",
    "\"[What does it open?|I wonder what it is for,]\" said {hero}. {He} showed it to {friend}.",
    "\nThey tried it [on the garden gate|in the door of the shed]. It was too small. They tried it "
    "[on the clock|in the kitchen door]. It was too big.",
    "Then {friend} remembered something. \"There is an old box [under the stairs|in the cellar] at "
    "my house,\" {fhe} said. \"[Nobody can open it|It has been shut for years].\"",
    "\nThey ran to {friend}'s house and pulled out the box. {hero} put the key in. Click! [It "
    "turned|The box opened].",
    "Inside they found {a treasure}. [It was covered with dust|It was wrapped in {colour} paper]. "
    "\"[How pretty|Wow]!\" said {hero}.",
    "\nJust then, {elder} came in. \"That was mine when I was small,\" said {elder}. \"[I lost the "
    "key long ago|I have looked for that key for years].\"",
    "{hero} looked at the {treasure}. {He} wanted to keep it, but {he} [gave it back|held it out]. "
    "\"Then it is yours,\" {he} said.",
    "\n{elder} smiled. \"[You found it, so let us share it|You may come and play with it whenever "
    "you like],\" said {elder}.",
    "[The real treasure was a new friend.|They had tea and {fruit}, and {elder} told them stories "
    "of long ago.]",
    0,
};

static const char *const helper[] = {
    START,
    DAY
    "{hero} was on the way to [the fair|a party|the dance] with {his} friend {friend}. They saw "
    "{elder}, who looked tired.",
    "\"Can you help me to {work}?\" asked {elder}. \"[My back hurts|I am too old to do it "
    "alone].\"",
    "\n\"We will be late,\" {friend} said softly. \"[We can still be in time if we work "
    "together|It is good to help],\" said {hero}.",
    "So {hero} and {friend} {worked}. [It was hard work|It took a long time]. [They sang a song "
    "while they worked|Their {hands} got dirty, but they did not stop].",
    "\n\"Thank you, both of you,\" said {elder}. \"Here are some {fruit} for the road.\"",
    "\nWhen they came there, [the games were over|the music had stopped]. {friend} was " SAD ". "
    "\"[We missed everything|I told you so],\" {fhe} said.",
    "But they had the {fruit}. They sat down {sit} and ate them [one by one|together]. [They were "
    "sweet|They tasted wonderful].",
    "\n[Then|Just then] they heard a bell. It was {elder} with a cart! \"[Jump on|Come along],\" "
    "said {elder}. \"I will take you [for a ride|around the village].\"",
    "They rode past the {place} and past the {place2}. The wind was in their faces, and {friend} "
    "[laughed out loud|held on to {hero}].",
    "\"[This is better than any game|I am glad that we helped],\" said {friend}.",
    0,
};

static const char *const rebuild[] = {
    "{hero} and {friend} wanted to build a {build}. It had to be the [best|biggest] one in the "
    "world.|" START " {He} and {his} friend {friend} liked to build things.",
    DAY
    "they began to build a {build}. {hero} [did the hard part|made the bottom], and {friend} [made "
    "the top|put {a colour} flag on it].",
    "They worked [all morning|for a long time]. At last it was done. \"[It is perfect|How fine it "
    "is]!\" said {friend}.",
    "\nBut then {ruin}. [Nothing was left|It was all gone].",
    "{friend} began to cry. \"All our work was for nothing,\" {fhe} said. {hero} wanted to cry "
    "too.",
    "\nThen {hero} [stood up|wiped {his} eyes]. \"We know how to do it now,\" {he} said. \"[The "
    "second time is easier|We will be faster this time]. Let us build it {better}.\"",
    "{friend} [dried {fhis} eyes|nodded]. They started again. They worked carefully, [and they "
    "helped each other|step by step].",
    "\nThe new {build} was even [better|bigger] than the old one. [They waited, but nothing bad "
    "happened|It stood there like a rock].",
    "{His} {parent} came to look at it. \"[Did you two make that?|I have never seen such a fine "
    "{build}!]\" said {his} {parent}.",
    "\"[We made it twice|Yes, and it was our second one],\" said {hero}, and both friends laughed.",
    "[When something falls down, you can build it up again.|]",
    0,
};

static const char *const race[] = {
    START,
    "{He} was the fastest runner in the village.|{hero} could run like the wind.",
    DAY "there was a big race {at}. The prize was {a colour} {toy}. [Everyone came to watch|{hero} "
        "wanted to win it].",
    "\"One, two, three, go!\" cried {elder}. They all began to run. Soon {hero} was [in front|far "
    "ahead of everyone].",
    "\nThen {he} heard a cry behind {him}. {He} turned around. {A trait2} {fkind} had fallen over "
    "a stone and could not get up.",
    "[{hero} looked ahead. The end was so close|{hero} could still win the race]. But {he} stopped "
    "and went back.",
    "\n\"[Are you hurt|Can you walk]?\" {he} asked. \"My foot hurts,\" said the {fkind}. {Fhis} "
    "name was {friend}. \"[Lean on me|Put your arm around me],\" said {hero}.",
    "Step by step, they walked on together. [The others had finished long ago|They were the last "
    "of all].",
    "\nBut when they came to the end, everyone [clapped and cheered|stood up and clapped]. \"[You "
    "did not win the race|You were not the first],\" said {elder}, \"but you have [a good "
    "heart|won something better].\"",
    "{friend} gave {him} a hug. \"Thank you, {hero},\" {fhe} said. \"Will you be my friend?\" "
    "\"[Of course|Yes, I will],\" said {hero}.",
    "[{He} did not think about the prize any more. {He} was " HAPPY
    ".|The next time, they ran side by side.]",
    0,
};

static const char *const moon[] = {
    START,
    "Every night, {hero} looked at the moon. {He} wanted to [touch it|hold it in {his} {hands}].",
    "\nOne night, {he} climbed [a tall tree|to the top of the hill] and reached up. The moon was "
    "still too far away.",
    "The next night, {he} [stood on the roof|took a long ladder]. [It was no use|{He} could not "
    "reach it].",
    "\n\"[What are you doing|Why are you up there]?\" asked {his} friend {friend}. \"I want to "
    "touch the moon,\" said {hero}, \"but it is too far away.\"",
    "{friend} did not laugh. {Fhe} thought about it. \"[Come with me|I know what to do],\" {fhe} "
    "said.",
    "\nThey walked to the pond. [There was no wind|The water was still]. And there was the moon, "
    "round and white, [in the middle of the water|right in front of them].",
    "\"[It came down|There it is]!\" whispered {hero}. {He} touched the water. [The moon shook and "
    "danced|Small silver rings ran over the pond].",
    "\n\"I touched it,\" said {hero}. \"[And I think it saw me|It was cold and soft].\"",
    "They sat {sit} and shared {a snack} in the silver light. [Somewhere an owl called|They did "
    "not say much].",
    "[On the way home, the moon came with them.|And when {he} went to bed, the moon looked in at "
    "the window and shone on {his} {colour} blanket.]",
    0,
};

static const char *const lost_way[] = {
    START,
    DAY "{hero} saw {a colour} butterfly in front of the house. [{He} ran after it|\"Wait for "
        "me!\" {he} called]. It flew over the fence and into the woods.",
    "{He} ran and ran. Then the butterfly was gone, and {hero} did not know where {he} was.",
    "\n[All the trees looked the same|It was getting dark]. {He} was " SAD ". \"[Hello! Is anyone "
    "there|Which way is home]?\" {he} called.",
    "\"Who is that?\" said a voice. It was {a trait2} {fkind} with a basket. \"I am {friend},\" "
    "{fhe} said. \"[Are you lost|Why are you all alone]?\"",
    "\n\"[I am lost|I cannot find the way home],\" said {hero}. \"I live next to the school.\" "
    "\"Do not worry,\" said {friend}. \"[Water knows the way|I know the way]. We will follow the "
    "stream.\"",
    "So they walked beside the stream. {friend} gave {him} some {fruit} from the basket, and "
    "{hero} [told {fhim} about the butterfly|sang a song, so that they were not afraid].",
    "\nAt last they saw a light. {His} {parent} was standing at the door. \"{hero}! [There you "
    "are|I looked for you everywhere]!\" cried {his} {parent}.",
    "\"{friend} showed me the way,\" said {hero}. \"I am sorry that I ran off.\"",
    "{His} {parent} gave them both [warm milk|hot soup] and {a snack}. Then they walked {friend} "
    "home, all together.",
    "\n[The butterfly came back the next day, but {hero} only waved at it.|From then on, {hero} "
    "always told someone where {he} was going.]",
    0,
};

static const char *const song[] = {
    START,
    "{He} had a beautiful voice, but {he} sang only when [no one was there|{he} was alone].",
    DAY "{hero} was singing {sit} {at}. {His} friend {friend} [heard {him} and stopped|was sitting "
        "close by].",
    "\"[That was lovely|You sing so well]!\" said {friend}. \"[You must sing at the summer "
    "feast!|Will you sing for all of us on Sunday?]\"",
    "\n\"[Oh no|I cannot do that],\" said {hero}. \"[Everyone will look at me|I am too shy].\"",
    "\"[You do not have to be alone|I will stand next to you],\" said {friend}. \"I will play my "
    "drum, and you can look at me.\"",
    "\nSo they practiced every day. First {hero} sang [for {his} {parent}|to the {colour} "
    "flowers]. Then {he} sang for {elder}. Each time it was [a little easier|not so hard].",
    "\nThen the big day came. {hero} looked at all the faces. {His} knees shook, and {he} [could "
    "not make a sound|forgot the first word].",
    "[Boom, boom|Tap, tap], went the drum. {hero} looked at {friend}. {He} took a deep breath and "
    "began to sing.",
    "The song was soft at first, and then it was [clear and strong|full of joy]. [Even the birds "
    "were quiet|Nobody said a word].",
    "\nWhen it was over, everyone clapped. \"[Sing it again|One more song]!\" they cried. And "
    "{hero} did.",
    0,
};

static const char *const sick[] = {
    "{hero} and {friend} played together every day.|" START " {He} and {friend} were best friends.",
    DAY
    "{hero} waited {at}, but {friend} did not come. [{He} waited and waited|{He} counted to one "
    "hundred]. {He} was " SAD ".",
    "{He} went to {friend}'s house and knocked. \"{friend} is sick in bed,\" said {friend}'s "
    "mother. \"[It is only a cold|You can look in at the window].\"",
    "\n{hero} looked in. {friend} looked [pale and tired|very small in the big bed]. \"[I am so "
    "bored|I want to go out and play],\" {fhe} said.",
    "\"Wait,\" said {hero}. \"[I will be back soon|I have an idea].\" {He} ran home as fast as "
    "{he} could.",
    "\n{His} {parent} helped {him} to fill a basket. They put in [some {fruit}|warm soup], a book "
    "and {a colour} {toy}.",
    "{hero} gave the basket to {friend} through the window. Then {he} sat down under it and read "
    "the book aloud. It was about {a beast} who [went to sea|lived on the moon|had lost a shoe].",
    "\n{friend} [laughed for the first time that day|listened with big eyes]. [Then {fhe} fell "
    "asleep|\"One more page,\" {fhe} said].",
    "{hero} came back the next day, and the day after that. On the [third|fourth] day, {friend} "
    "was sitting outside in the sun.",
    "\"I am well again!\" said {friend}. \"[The soup was good, but the story was better|You were "
    "the best medicine].\"",
    "\nAnd off they ran [to the {place}|to play {at}].",
    0,
};

const md_tale_plot md_tale_plots[] = {
    lost,   new_friend, stuck,    picnic, cook,    share, night, rescue,   learn, plant,
    broken, birthday,   treasure, helper, rebuild, race,  moon,  lost_way, song,  sick,
};
const int md_tale_plot_count = (int)(sizeof md_tale_plots / sizeof *md_tale_plots);
