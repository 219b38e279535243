using System.Runtime.InteropServices;

namespace Godwit.Worker.Interop;

/// <summary>Starts the worker and waits for its end, without fork: a managed runtime cannot go on in a forked copy.</summary>
internal static unsafe class ChildProcess
{
    private const int OpaqueBytes = 1024; // glibc's largest of the spawn structures and sigset_t has 336.

    /// <summary>Starts a program that inherits nothing but standard input, output and error and the named descriptors.</summary>
    /// <param name="path">The program.</param>
    /// <param name="arguments">All arguments, the program's name first.</param>
    /// <param name="environment">"NAME=value" entries.</param>
    /// <param name="inherited">Descriptors the child gets under the same numbers; all others close on exec.</param>
    /// <param name="standardError">Descriptor that becomes the child's standard error.</param>
    /// <returns>The child's process id.</returns>
    internal static int Start(
        string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, ReadOnlySpan<int> inherited, int standardError)
    {
        var actions = stackalloc byte[OpaqueBytes];
        var attributes = stackalloc byte[OpaqueBytes];
        var argumentBlock = ToBlock(arguments);
        var environmentBlock = ToBlock(environment);
        _ = LibC.InitializeActions(actions);
        _ = LibC.InitializeAttributes(attributes);
        try
        {
            // dup2 onto the same number clears close-on-exec, and only in the child.
            foreach (var descriptor in inherited)
                Check(LibC.AddDuplicate(actions, descriptor, descriptor), path);
            Check(LibC.AddDuplicate(actions, standardError, 2), path);
            ResetSignals(attributes, path);
            Check(LibC.Spawn(out var process, path, actions, attributes, argumentBlock, environmentBlock), path);
            return process;
        }
        finally
        {
            _ = LibC.DestroyActions(actions);
            _ = LibC.DestroyAttributes(attributes);
            Free(argumentBlock);
            Free(environmentBlock);
        }
    }

    /// <summary>Waits until the child has ended.</summary>
    /// <returns>Its exit code, or the negated signal that killed it.</returns>
    internal static int WaitForEnd(int process)
    {
        int status;
        while (LibC.Wait(process, out status, 0) < 0)
        {
            if (Marshal.GetLastPInvokeError() != LibC.Interrupted)
                throw Errno.Exception($"wait for process {process}");
        }

        return (status & 0x7f) == 0 ? (status >> 8) & 0xff : -(status & 0x7f);
    }

    /// <summary>The child starts with default signal handling, whatever the supervisor ignores or blocks.</summary>
    private static void ResetSignals(byte* attributes, string path)
    {
        var set = stackalloc byte[OpaqueBytes];
        new Span<byte>(set, OpaqueBytes).Clear();
        Check(LibC.SetSignalMask(attributes, set), path);
        new Span<byte>(set, 8).Fill(0xff);
        Check(LibC.SetDefaultSignals(attributes, set), path);
        Check(LibC.SetSpawnFlags(attributes, LibC.SpawnResetSignals | LibC.SpawnSetMask), path);
    }

    private static void Check(int error, string path)
    {
        if (error != 0)
            throw Errno.Exception(error, $"start {path}");
    }

    internal static byte** ToBlock(IReadOnlyList<string> strings)
    {
        var block = (byte**)NativeMemory.AllocZeroed((nuint)(strings.Count + 1), (nuint)sizeof(byte*));
        for (var i = 0; i < strings.Count; i++)
            block[i] = (byte*)Marshal.StringToCoTaskMemUTF8(strings[i]);
        return block;
    }

    internal static void Free(byte** block)
    {
        for (var i = 0; block[i] is not null; i++)
            Marshal.FreeCoTaskMem((nint)block[i]);
        NativeMemory.Free(block);
    }
}
