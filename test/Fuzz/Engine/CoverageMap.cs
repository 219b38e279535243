using System.Numerics;
using System.Runtime.InteropServices;
using Godwit.Storage;
using SharpFuzz.Common;

namespace Godwit.Fuzz.Engine;

/// <summary>Counts branches of one execution and knows which counts were never seen before.</summary>
/// <remarks>Instrumented code adds to the map through two static fields of SharpFuzz, so there is one map per process.</remarks>
internal sealed unsafe class CoverageMap
{
    private const int Size = 1 << 16;
    private static readonly byte* Counts = (byte*)NativeMemory.AllocZeroed(Size);
    private readonly byte[] _seen = new byte[Size];

    /// <summary>The storage library was instrumented, so branches count.</summary>
    public static bool IsInstrumented { get; } =
        typeof(BlockDevice).Assembly.GetReferencedAssemblies().Any(reference => reference.Name == "SharpFuzz.Common");

    /// <summary>Places of the map ever reached.</summary>
    public int Edges { get; private set; }

    private static Span<byte> Current => new(Counts, Size);

    /// <summary>Must come before any instrumented code runs: it writes through the pointer without asking.</summary>
    public static void Attach() => Trace.SharedMem = Counts;

    /// <summary>Before each execution.</summary>
    public static void Clear()
    {
        Trace.PrevLocation = 0;
        Current.Clear();
    }

    /// <summary>Counts something that is not a branch.</summary>
    public void Hit(ushort place) => Counts[place] = (byte)Math.Min(255, Counts[place] + 1);

    /// <summary>After an execution: remembers it, and tells whether it showed anything new.</summary>
    public bool Learn()
    {
        var news = false;
        var words = MemoryMarshal.Cast<byte, ulong>(Current);
        for (var word = 0; word < words.Length; word++)
        {
            if (words[word] != 0)
                news |= LearnEight(word * sizeof(ulong));
        }

        return news;
    }

    private bool LearnEight(int start)
    {
        var news = false;
        for (var place = start; place < start + sizeof(ulong); place++)
        {
            if (Counts[place] == 0)
                continue;

            // Loops: once, twice, 3 to 3, 4 to 7, 8 to 15 and so on are each something new; 17 times instead of 16 is not.
            var bucket = (byte)(1 << Math.Min(7, BitOperations.Log2(Counts[place]) + (Counts[place] > 2 ? 1 : 0)));
            if ((_seen[place] & bucket) != 0)
                continue;
            Edges += _seen[place] == 0 ? 1 : 0;
            _seen[place] |= bucket;
            news = true;
        }

        return news;
    }
}
