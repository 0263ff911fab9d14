// SPDX-License-Identifier: GPL-2.0-only
/* Defines nothing: no assembly of this architecture looks into C structures. */
int main(void)
{
	return 0;
}
