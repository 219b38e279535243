using System.Reflection;
using Godwit.Nbd;
using Godwit.Storage;
using SharpFuzz;

namespace Godwit.Fuzz.Engine;

/// <summary>Makes a copy of this program whose storage and NBD libraries report their branches. The product's own files stay as they are.</summary>
internal static class Instrumentation
{
    /// <summary>Copies the program into a folder and instruments the copy.</summary>
    public static void CopyInto(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        foreach (var file in Directory.EnumerateFiles(AppContext.BaseDirectory, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(folder, Path.GetRelativePath(AppContext.BaseDirectory, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        // Checksums are nothing but a loop over many bytes: no news in it, and most of the time.
        foreach (var assembly in (Assembly[])[typeof(BlockDevice).Assembly, typeof(NbdServer).Assembly])
        {
            var library = Path.Combine(folder, assembly.GetName().Name + ".dll");
            Fuzzer.Instrument(library, type => !type.EndsWith("Crc32C", StringComparison.Ordinal), Options.Value);
        }
    }
}
