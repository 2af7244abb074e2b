"""Words for readable random names."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADVERBS = _words(
    """
    almost always ardently arguably awfully bluntly boldly brightly calmly clearly cosily curiously daintily
    dearly deftly dimly duly easily endlessly evenly fairly famously finely firmly fondly freely gaily gently
    gladly greatly grandly handily happily hugely idly jointly keenly kindly lazily lightly loftily loudly
    madly merrily mildly modestly mostly neatly nicely nobly oddly openly partly plainly playfully politely
    proudly purely quickly quietly rarely readily rightly roundly serenely sharply shyly simply slowly smartly
    smoothly softly soundly sparsely speedily steadily stoutly strongly surely sweetly swiftly tenderly tidily
    truly utterly vastly vividly warmly wholly widely wildly wisely wittily zealously
    """
)

ADJECTIVES = _words(
    """
    agile airy amber ancient autumn azure bashful blazing breezy bright bronze bubbly bumpy candid cheery
    chilly coastal copper coral cosy crafty crimson crystal curly dapper dashing dewy distant dusty eager
    early elfin emerald faint feathery fiery floral fluffy foggy forest frosty fuzzy gallant gentle gilded
    glacial gleaming golden graceful grassy hasty hazel hidden hilly hushed icy indigo ivory jade jaunty
    jolly jovial lanky lavender leafy lilac lively lofty lonely lucid lunar maple marble meadow mellow merry
    misty mossy nimble northern olive orchid pastel patient pebbly perky placid plucky polar prickly quaint
    quirky rainy rapid restful roaming rosy ruby rugged rustic rusty salty sandy scarlet shady shiny silent
    silky silver sleepy slender snowy snug solar sparkly spiral spotted spruce starry stormy sturdy summer
    sunlit tangy tawny tidal timid tiny tranquil tropical twilight umber upbeat velvet violet wandering
    western windy winter witty woolly zesty
    """
)

ANIMALS = _words(
    """
    alpaca anchovy antelope armadillo auk avocet axolotl badger barracuda beaver beetle bison bittern boar
    bobcat buzzard camel capybara caracal caribou cassowary cheetah chinchilla chipmunk civet cormorant coyote
    crane cricket crow curlew dingo dolphin dormouse dove dragonfly dugong dunlin eagle echidna egret
    eland elk ermine falcon ferret finch firefly flamingo flounder fox gannet gazelle gecko gerbil gibbon
    giraffe gnu goat goldcrest gopher goshawk grebe grouse guillemot gull hamster hare hawfinch hedgehog heron
    hoopoe hornbill ibex ibis iguana impala jackdaw jaguar jay jellyfish kestrel kingfisher kiwi koala krill
    kudu ladybird lapwing lark lemming lemur leopard limpet linnet lizard llama lobster lynx macaw magpie
    manatee mandrill manta marmot marten meerkat merlin mink mole mongoose moose moth muskox narwhal newt
    nightjar nuthatch ocelot octopus okapi opossum orca oriole osprey otter owl oyster panda pangolin panther
    partridge pelican penguin petrel pika pipit platypus plover polecat porcupine porpoise puffin puma quail
    quokka raccoon raven redstart reindeer robin sable salmon sandpiper seahorse seal serval shrew siskin
    skate skylark sloth snail sparrow squid starling stoat stork sturgeon swallow swan swift tapir tarsier
    tern thrush tiger toad toucan trout turtle viper vole wagtail wallaby walrus warbler weasel whale whimbrel
    wigeon wildcat wolverine wombat woodpecker wren yak zebra
    """
)
