using System.Runtime.InteropServices;

namespace Godwit.Storage.Tests.Interop;

/// <summary>The C library calls tests need and .NET has no equal for.</summary>
internal static partial class LibC
{
    /// <summary>A second descriptor of the same opening, as a forked program has it.</summary>
    [LibraryImport("libc", EntryPoint = "dup")]
    public static partial int Duplicate(int descriptor);
}
