using Godwit.Testing.Files;

namespace Godwit.Fuzz.Engine;

/// <summary>One thing to attack: the images to start from, how checksums are put right, and what must hold.</summary>
internal abstract class FuzzTarget
{
    private IReadOnlyList<FuzzImage>? _images;

    /// <summary>What the command line calls it.</summary>
    public abstract string Name { get; }

    /// <summary>What is attacked, in a few words.</summary>
    public abstract string What { get; }

    /// <summary>The seed corpus: images this program's own code makes.</summary>
    public IReadOnlyList<FuzzImage> Images => _images ??= CreateImagesAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Others allocate memory in this process too, so what an input took cannot be told.</summary>
    public bool SharesProcess { get; set; }

    /// <summary>Runs one input.</summary>
    /// <exception cref="FuzzFinding">Something did not hold.</exception>
    public async ValueTask RunAsync(FuzzInput input, Signals signals)
    {
        var image = Images[(int)((uint)input.Image % (uint)Images.Count)];
        var file = await image.ApplyAsync(input);
        if (input.Seals != Seals.None)
            await SealAsync(file, image, input);
        signals.Note(image.Name);
        await ExerciseAsync(file, signals);
    }

    /// <summary>Makes the images.</summary>
    protected abstract ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync();

    /// <summary>Puts checksums right in the structures the input has changed.</summary>
    protected abstract ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input);

    /// <summary>Uses the image in every way and judges what comes out.</summary>
    protected abstract ValueTask ExerciseAsync(MemoryFile file, Signals signals);
}
