/* corpora/tales_words.c: the words that a tale draws at its beginning (see tales_words.h). */
#include "corpora/tales_words.h"

static const char *const girls[] = {
    "Anna", "Lily", "Mia",  "Sara", "Emma", "Lucy", "Nora",  "Ella",
    "Rose", "Amy",  "Jane", "Kate", "Ruby", "Ivy",  "Molly", "Daisy",
};
static const char *const boys[] = {
    "Tom",  "Ben",   "Max",  "Sam", "Leo",  "Tim",  "Jack", "Finn",
    "Adam", "Oscar", "Paul", "Dan", "Hugo", "Toby", "Will", "Nick",
};
/* All of them have paws, and none of them is at home in the water or the air. */
static const char *const beasts[] = {
    "fox", "bear", "rabbit", "mouse", "cat", "dog", "squirrel", "badger", "hedgehog",
};
static const char *const parents[] = {"mom", "dad", "grandma", "grandpa"};
static const char *const traits[] = {
    "little", "kind", "brave", "curious", "clever", "cheerful", "quiet", "happy", "gentle", "young",
};
static const char *const colours[] = {
    "red", "blue", "green", "yellow", "orange", "purple", "white", "brown", "pink", "black",
};
static const char *const toys[] = {
    "ball", "toy boat", "toy car", "doll", "drum", "whistle", "hat", "scarf", "book", "toy train",
};
static const char *const snacks[] = {
    "apple", "pear", "cookie", "bun", "peach", "banana", "sandwich", "pancake",
};
static const char *const fruits[] = {
    "apples", "berries", "nuts", "cookies", "plums", "pears", "cherries",
};
static const char *const places[] = {
    "park",  "in the park",  "garden", "in the garden", "forest", "in the forest",
    "beach", "at the beach", "river",  "by the river",  "lake",   "by the lake",
    "hill",  "on the hill",  "farm",   "on the farm",   "meadow", "in the meadow",
    "pond",  "by the pond",  "field",  "in the field",
};
static const char *const indoors[] = {
    "under the bed",   "behind the sofa", "in the big box", "on the shelf",
    "under the table", "behind the door", "in the basket",  "under the rug",
};
static const char *const outdoors[] = {
    "under a bush",  "behind a tree",   "in the tall grass", "next to a big rock",
    "near the gate", "under the bench", "behind the shed",   "beside the path",
};
static const char *const seats[] = {
    "under a tree", "on a bench", "on the grass", "on a flat stone", "beside the path", "on a log",
};
static const char *const babies[] = {
    "baby bird",     "mother bird",     "up in a tall tree", "tiny kitten",  "mother cat",
    "in the barn",   "little duckling", "mother duck",       "by the water", "small puppy",
    "mother dog",    "in the yard",     "baby owl",          "mother owl",   "in a hollow tree",
    "little lamb",   "mother sheep",    "behind the fence",  "little chick", "mother hen",
    "near the barn",
};
/* What to learn, how it is called, where, how it fails, and the advice. */
static const char *const skills[] = {
    "swim",
    "swimming",
    "in the lake",
    "{he} went under the water and came up coughing",
    "Kick your legs and look at me",
    "ride a bike",
    "riding a bike",
    "on the road",
    "{he} fell into a soft bush",
    "Look ahead and keep going",
    "skate",
    "skating",
    "on the frozen pond",
    "{he} slipped and sat down on the ice",
    "Bend your knees and go slowly",
    "whistle",
    "whistling",
    "in the garden",
    "only air came out",
    "Make your lips round and blow softly",
    "climb a tree",
    "climbing",
    "behind the house",
    "{he} slid back down to the grass",
    "Hold on tight and take one step at a time",
    "jump rope",
    "jumping rope",
    "in the yard",
    "the rope got caught on {his} feet",
    "Listen to the rope and count to three",
    "dance",
    "dancing",
    "in the kitchen",
    "{he} stepped on {his} own feet",
    "Listen to the music and count the steps",
    "catch a ball",
    "catching",
    "in the field",
    "the ball flew past {his} nose",
    "Watch the ball and keep your {hands} open",
};
static const char *const plants[] = {
    "sunflower", "rose", "pumpkin", "tomato plant", "daisy", "bean plant", "poppy",
};
static const char *const dishes[] = {
    "cup", "plate", "lamp", "vase", "bowl", "teapot", "clock", "jar",
};
static const char *const gifts[] = {
    "card with a big {colour} heart",
    "crown of {colour} flowers",
    "small boat of wood",
    "house for the birds",
    "picture of two friends",
    "basket of {colour} flowers",
    "puppet with {colour} buttons",
    "soft {colour} pillow",
};
/* What to build, how it is ruined, and where to build it better. */
static const char *const builds[] = {
    "sand castle",
    "a big wave came and washed it away",
    "farther from the water",
    "tower of blocks",
    "the cat ran by and knocked it down",
    "in a quiet corner",
    "hut of sticks",
    "a strong wind came and blew it down",
    "behind a big rock",
    "house of cards",
    "the door opened and the wind blew it down",
    "away from the door",
    "snow fort",
    "a big dog jumped on it and it fell apart",
    "behind the fence",
    "bridge of stones",
    "the water rose and carried it away",
    "where the stream was not so deep",
};
/* What got stuck, how, where, and what the place is called afterwards. */
static const char *const stuck_things[] = {
    "kite",
    "the wind pulled it into a tall tree",
    "tree",
    "ball",
    "{he} kicked it too hard, and it landed on the roof of a shed",
    "roof",
    "balloon",
    "it flew up and got caught on a branch",
    "branch",
    "paper plane",
    "it flew too far and landed on a high wall",
    "wall",
    "hat",
    "the wind blew it onto the roof of the barn",
    "roof",
};
static const char *const noises[] = {
    "tap, tap, tap",    "a branch that touched the window",
    "scratch, scratch", "a small kitten at the door",
    "drip, drip, drip", "the rain that fell into a bucket",
    "thump, thump",     "a box that had fallen over",
    "hoo, hoo",         "an owl in the old tree",
    "squeak, squeak",   "the old gate in the wind",
};
static const char *const meals[] = {
    "cake",        "eggs",    "pie",   "apples", "loaf of bread",     "flour",
    "pot of soup", "carrots", "pizza", "cheese", "plate of pancakes", "milk",
};
/* A grown-up, the work, and the work done. */
static const char *const neighbours[] = {
    "Mrs. Green",
    "carry the heavy basket home",
    "carried the heavy basket home",
    "Mr. Brown",
    "pick the apples",
    "picked all the apples",
    "Mrs. Hill",
    "rake the leaves",
    "raked all the leaves",
    "Mr. Wood",
    "paint the old fence",
    "painted the old fence",
    "Mrs. Bell",
    "wash the windows",
    "washed all the windows",
    "Mr. Stone",
    "push the cart up the road",
    "pushed the cart up the road",
    "Mrs. Lake",
    "feed the hens",
    "fed all the hens",
};
static const char *const treasures[] = {
    "music box",   "small telescope", "puppet",           "set of paints",
    "silver bell", "golden coin",     "old picture book", "pair of skates",
};

#define LIST(keys, words, fields, picks) \
    { keys, words, fields, (int)(sizeof(words) / sizeof *(words)) / (fields), picks }

const md_tale_list md_tale_lists[] = {
    LIST("girl", girls, 1, 1),
    LIST("boy", boys, 1, 1),
    LIST("beast", beasts, 1, 2),
    LIST("parent", parents, 1, 1),
    LIST("trait", traits, 1, 2),
    LIST("colour", colours, 1, 2),
    LIST("toy", toys, 1, 2),
    LIST("snack", snacks, 1, 2),
    LIST("fruit", fruits, 1, 1),
    LIST("place at", places, 2, 2),
    LIST("inside", indoors, 1, 3),
    LIST("outside", outdoors, 1, 3),
    LIST("sit", seats, 1, 1),
    LIST("baby mother nest", babies, 3, 1),
    LIST("skill skilling spot fail tip", skills, 5, 1),
    LIST("plant", plants, 1, 1),
    LIST("dish", dishes, 1, 1),
    LIST("gift", gifts, 1, 1),
    LIST("build ruin better", builds, 3, 1),
    LIST("stuck how up", stuck_things, 3, 1),
    LIST("noise cause", noises, 2, 1),
    LIST("meal missing", meals, 2, 1),
    LIST("elder work worked", neighbours, 3, 1),
    LIST("treasure", treasures, 1, 1),
};
const int md_tale_list_count = (int)(sizeof md_tale_lists / sizeof *md_tale_lists);
